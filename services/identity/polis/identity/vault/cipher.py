"""Envelope encryption: each value under a data key of its own, each data key under a root key that no database holds.

Everything is AES-256-GCM with a random nonce in front, and says what it is of (org, secret, version, purpose) as associated
data: a row moved to another org, secret or version does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import TYPE_CHECKING
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from polis.service.config import BadSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polis.identity.config import Config

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16
DERIVED = "mesh"
"""Name of the root key that the mesh secret gives. It is always there, so that what lies under it can be read."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class Unreadable(Exception):
    """It does not open: under another key, of something else, or changed."""


class Place(Struct, frozen=True):
    """What something encrypted is of."""

    org_id: UUID
    secret_id: UUID
    version: int

    def bound(self, purpose: str) -> bytes:
        """The associated data: fixed lengths in front, so that no two places read the same."""
        return (
            b"polis vault 1"
            + self.org_id.bytes
            + self.secret_id.bytes
            + self.version.to_bytes(8, "big")
            + purpose.encode()
        )


class Wrapped(Struct, frozen=True):
    """A data key under a root key, by that one's name."""

    root_key: str
    data_key: bytes


class Ring:
    """The root keys by name. New data keys are wrapped under the current one; the others still open."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        self._keys = dict(keys)
        self.current = current

    def __repr__(self) -> str:
        return f"Ring({self.current})"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def wrap(self, place: Place, purpose: str, data_key: bytes) -> Wrapped:
        bound = place.bound(f"{purpose} under {self.current}")
        return Wrapped(self.current, encrypt(self._keys[self.current], data_key, bound))

    def unwrap(self, place: Place, purpose: str, wrapped: Wrapped) -> bytes:
        """Raises Unreadable."""
        key = self._keys.get(wrapped.root_key)
        if key is None:
            raise Unreadable(f"the root key {wrapped.root_key} is not here")
        return decrypt(key, wrapped.data_key, place.bound(f"{purpose} under {wrapped.root_key}"))

    def rewrap(self, place: Place, purpose: str, wrapped: Wrapped) -> Wrapped:
        """The same data key under the current root key. Raises Unreadable."""
        return self.wrap(place, purpose, self.unwrap(place, purpose, wrapped))


def ring_of(config: Config) -> Ring:
    """`<name>:<32 bytes in base64>` a line, the first one current. BadSettings."""
    keys: dict[str, bytes] = {}
    for line in str(config.vault_keys).split():
        name, _, encoded = line.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not _NAME.fullmatch(name) or name in (DERIVED, *keys) or len(key) != KEY_BYTES:
            raise BadSettings("POLIS_VAULT_KEYS takes lines of <name>:<32 bytes in base64>, each name once")
        keys[name] = key
    derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"polis identity vault v1")
    derived = {DERIVED: derive.derive(config.mesh_secret.encode())}
    return Ring(keys | derived, next(iter(keys), DERIVED))


def encrypt(key: bytes, text: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, bound)


def decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """Raises Unreadable."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise Unreadable("it is of something else, or changed") from None
