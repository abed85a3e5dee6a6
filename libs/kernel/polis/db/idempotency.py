"""Idempotency keys: one effect, one answer. The answer commits with the effect and is sealed under the key itself.

Only the key's hash is stored; who lacks the key can read no stored answer, which may carry a credential that is shown once.
Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from polis.proto import Refused
from polis.proto.problems import InFlight, KeyReused

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db.connections import Lease

_NONCE_BYTES = 12


class Claim(Struct, frozen=True):
    """Who asks for what under which key."""

    org_id: UUID
    principal_id: UUID
    operation: str
    key: str
    fingerprint: bytes

    @property
    def key_hash(self) -> bytes:
        return hashlib.sha256(b"polis idempotency\0" + self.key.encode()).digest()

    @property
    def lock(self) -> int:
        """A number for the advisory lock that says "at work"."""
        name = f"{self.org_id}/{self.principal_id}/{self.operation}/".encode() + self.key_hash
        return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)

    def sealing_key(self) -> bytes:
        info = f"polis answer {self.org_id} {self.principal_id} {self.operation}".encode()
        return HKDF(SHA256(), 32, salt=None, info=info).derive(self.key.encode())


async def claim(lease: Lease, service: str, wanted: Claim) -> bytes | None:
    """The stored answer, or None with the key locked for this transaction. Refused(InFlight | KeyReused)."""
    found = await lease.fetch("select pg_try_advisory_xact_lock($1) as ours", wanted.lock)
    if not found[0]["ours"]:
        raise Refused(InFlight())
    rows = await lease.fetch(
        f"select fingerprint, answer from {service}.idempotency "  # noqa: S608 - a checked name
        "where org_id = $1 and principal_id = $2 and operation = $3 and key_hash = $4",
        wanted.org_id,
        wanted.principal_id,
        wanted.operation,
        wanted.key_hash,
    )
    if not rows:
        return None
    if rows[0]["fingerprint"] != wanted.fingerprint:
        raise Refused(KeyReused())
    sealed = bytes(rows[0]["answer"])
    return AESGCM(wanted.sealing_key()).decrypt(
        sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], wanted.fingerprint
    )


async def store(lease: Lease, service: str, done: Claim, answer: bytes) -> None:
    """Keep the answer, to commit with the effect."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(done.sealing_key()).encrypt(nonce, answer, done.fingerprint)
    await lease.execute(
        f"insert into {service}.idempotency "  # noqa: S608 - a checked name
        "(org_id, principal_id, operation, key_hash, fingerprint, answer) values ($1, $2, $3, $4, $5, $6)",
        done.org_id,
        done.principal_id,
        done.operation,
        done.key_hash,
        done.fingerprint,
        sealed,
    )
