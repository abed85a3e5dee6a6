"""The keys that sign access tokens: sealed at rest, several at a time, one of them signing."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from polis.identity.seal import OtherSecret, Seal
from polis.proto.identity import Jwk, Jwks
from polis.service.config import BadSettings
from polis.service.tokens import SKEW_S, SigningKey, Verifier
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.identity.config import Config
    from polis.service.tokens import Claims

_PURPOSE = "signing-keys v1"
_KID_BYTES = 9
_LOCK = 0x6964_656E_7469_7479
"""Advisory lock: one replica at a time decides whether there is to be another key."""


class StoredKey(Struct, frozen=True):
    """A row of `signing_keys`."""

    kid: str
    sealed: bytes
    public_key: bytes
    created_at: datetime
    signs_from: datetime
    ends_at: datetime | None = None

    @property
    def jwk(self) -> Jwk:
        x = base64.urlsafe_b64encode(self.public_key).rstrip(b"=").decode()
        return Jwk(kty="OKP", crv="Ed25519", kid=self.kid, x=x)


def unsealed(seal: Seal, kid: str, sealed: bytes) -> SigningKey:
    """BadSettings when it was sealed under another secret."""
    try:
        return SigningKey(kid, Ed25519PrivateKey.from_private_bytes(seal.open(kid, sealed)))
    except OtherSecret:
        raise BadSettings("POLIS_MESH_SECRET is not the one that sealed the signing keys") from None


class Keyring:
    """The signing keys as this replica knows them."""

    def __init__(self, config: Config) -> None:
        self._seal = Seal(config.mesh_secret, _PURPOSE)
        self._lifetime = timedelta(seconds=config.key_lifetime_s)
        self._lead = timedelta(seconds=2 * config.key_reload_s)
        self._tail = timedelta(seconds=config.access_ttl_s + SKEW_S)
        self._keys: tuple[StoredKey, ...] = ()
        self._opened: dict[str, SigningKey] = {}
        self._verifier = Verifier()

    async def reload(self, database: Database, now: datetime) -> None:
        """Read the keys; make the first one, or the successor of one that is old enough, and forget what has ended."""
        async with database.across_orgs() as tx:
            await tx.value("select pg_advisory_xact_lock($1)", _LOCK)
            await tx.execute("delete from identity.signing_keys where ends_at <= $1", now)
            keys = await _stored(tx)
            if not keys or keys[-1].created_at + self._lifetime <= now:
                await self._succeed(tx, keys, now)
                keys = await _stored(tx)
        self._opened = {
            key.kid: self._opened.get(key.kid) or unsealed(self._seal, key.kid, key.sealed) for key in keys
        }
        self._keys = keys
        self._verifier.replace_keys(self.jwks())

    def jwks(self) -> Jwks:
        return Jwks(keys=tuple(key.jwk for key in self._keys))

    def signing(self, now: datetime) -> SigningKey:
        """The newest key whose time has come; the oldest where the clock of who made it is ahead of ours."""
        due = [key for key in self._keys if key.signs_from <= now]
        return self._opened[(due or self._keys[:1])[-1].kid]

    def verify(self, token: str, now: datetime) -> Claims:
        """As every service does. Raises InvalidToken."""
        return self._verifier.verify(token, now.timestamp())

    async def _succeed(self, tx: Transaction, keys: tuple[StoredKey, ...], now: datetime) -> None:
        key = self._new(now, signs_from=now + self._lead if keys else now)
        await tx.execute(
            """
            insert into identity.signing_keys (kid, sealed, public_key, created_at, signs_from)
            values ($1, $2, $3, $4, $5)
            """,
            key.kid,
            key.sealed,
            key.public_key,
            key.created_at,
            key.signs_from,
        )
        await tx.execute(
            "update identity.signing_keys set ends_at = $2 where kid <> $1 and ends_at is null",
            key.kid,
            key.signs_from + self._tail,
        )
        log.info("signing_key.made", kid=key.kid)

    def _new(self, now: datetime, *, signs_from: datetime) -> StoredKey:
        kid = base64.urlsafe_b64encode(os.urandom(_KID_BYTES)).decode()
        private = Ed25519PrivateKey.generate()
        return StoredKey(
            kid=kid,
            sealed=self._seal.close(kid, private.private_bytes_raw()),
            public_key=private.public_key().public_bytes_raw(),
            created_at=now,
            signs_from=signs_from,
        )


async def _stored(tx: Transaction) -> tuple[StoredKey, ...]:
    return tuple(
        await tx.rows(
            StoredKey,
            """
            select kid, sealed, public_key, created_at, signs_from, ends_at
            from identity.signing_keys
            order by signs_from, kid
            """,
        )
    )


def utc_now() -> datetime:
    return datetime.now(UTC)
