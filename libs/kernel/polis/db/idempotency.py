# ruff: noqa: S608 - the only names put into statements are checked ones
"""Idempotency keys: one effect, one answer. The answer commits with the effect and is sealed under the key itself.

The database holds neither the key nor anything that leads to it; who lacks it can read no stored answer, which may carry
a credential that is shown once. Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from polis.proto import Refused
from polis.proto.problems import InFlight, KeyReused

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db.connections import Lease

_NONCE_BYTES = 12
_HASH_BYTES = 32
_SEAL_BYTES = 32


class Claim:
    """Who asks for what under which key. What finds the row and what opens it are derived from the key apart."""

    __slots__ = ("_seal", "fingerprint", "key_hash", "operation", "org_id", "principal_id")

    def __init__(
        self, org_id: UUID, principal_id: UUID, operation: str, key: str, fingerprint: bytes
    ) -> None:
        self.org_id = org_id
        self.principal_id = principal_id
        self.operation = operation
        self.fingerprint = fingerprint
        info = f"polis idempotency {org_id} {principal_id} {operation}".encode()
        derived = HKDF(SHA256(), _HASH_BYTES + _SEAL_BYTES, salt=None, info=info).derive(key.encode())
        self.key_hash = derived[:_HASH_BYTES]
        self._seal = AESGCM(derived[_HASH_BYTES:])

    @property
    def lock(self) -> int:
        """A number for the advisory lock that says "at work"."""
        return int.from_bytes(hashlib.sha256(b"polis lock" + self.key_hash).digest()[:8], signed=True)

    def seal(self, answer: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._seal.encrypt(nonce, answer, self.fingerprint)

    def opened(self, sealed: bytes) -> bytes:
        return self._seal.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self.fingerprint)


async def claim(lease: Lease, service: str, wanted: Claim) -> bytes | None:
    """The stored answer, or None with the key locked for this transaction. Refused(InFlight | KeyReused).

    The look is a statement of its own behind the lock: one that does both looks at what was there before it had the lock.
    """
    ours = await lease.fetch("select pg_try_advisory_xact_lock($1)", (wanted.lock,))
    found = await lease.fetch(
        f"""
        select i.fingerprint, i.answer from {service}.idempotency i
        where i.org_id = $1 and i.principal_id = $2 and i.operation = $3 and i.key_hash = $4
        """,
        (wanted.org_id, wanted.principal_id, wanted.operation, wanted.key_hash),
    )
    if not found:
        if not ours[0][0]:
            raise Refused(InFlight())
        return None
    fingerprint, answer = found[0]
    if fingerprint != wanted.fingerprint:
        raise Refused(KeyReused())
    return wanted.opened(answer)


async def store(lease: Lease, service: str, done: Claim, answer: bytes) -> None:
    """Keep the answer, to commit with the effect of what has claimed the key."""
    await lease.execute(
        f"""
        insert into {service}.idempotency (org_id, principal_id, operation, key_hash, fingerprint, answer)
        values ($1, $2, $3, $4, $5, $6)
        """,
        (
            done.org_id,
            done.principal_id,
            done.operation,
            done.key_hash,
            done.fingerprint,
            done.seal(answer),
        ),
    )
