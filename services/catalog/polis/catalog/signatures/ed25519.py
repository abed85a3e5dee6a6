"""What is signed, and whether a signature is one of it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from polis import graph
from polis.proto import Refused
from polis.proto.catalog import SignatureInvalid

if TYPE_CHECKING:
    from uuid import UUID

    from polis.proto.catalog import Version

_PRIME = 2**255 - 19
_ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL = frozenset((0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8))
"""The y of the points of small order: under such a key there are signatures that fit many messages."""


def of_version(version: Version) -> bytes:
    """What vouches for a version: its content by the digest, and as what it may be used."""
    return statement(version.type, version.key, version.digest)


def statement(kind: str, key: str, digest: str) -> bytes:
    """What vouches for a content as a resource of this type and key."""
    return graph.canonical({"polis": "version", "type": kind, "key": key, "digest": digest})


def of_key(principal_id: UUID) -> bytes:
    """What proves that somebody holds the key that they add, and that they meant this principal."""
    return f"polis publisher key {principal_id}".encode()


def demand(public_key: bytes, signature: bytes, signed: bytes) -> None:
    """Refused(SignatureInvalid) unless this key made this signature of these bytes."""
    if (int.from_bytes(public_key, "little") & (2**255 - 1)) % _PRIME in _SMALL:
        raise Refused(SignatureInvalid())
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise Refused(SignatureInvalid()) from None


def decoded(text: str) -> bytes:
    """Base64url without padding; other spellings of the same bytes are refused."""
    found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encoded(found) != text:
        raise Refused(SignatureInvalid())
    return found


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
