"""Rows of publishers' keys and of signatures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.catalog.signatures import ed25519
from polis.proto import Refused
from polis.proto.catalog import (
    MAX_PUBLISHER_KEYS,
    PublisherKey,
    PublisherKeyNotFound,
    PublisherKeyTaken,
    QuotaExceeded,
    Signature,
)

if TYPE_CHECKING:
    from polis.catalog.access import Viewer
    from polis.db import Tenant, Transaction
    from polis.proto.catalog import Resource


class KeyPosition(Struct, frozen=True):
    """Where a list of keys continues: behind the last one. The default lies before all."""

    created_at: datetime = datetime.max.replace(tzinfo=UTC)
    id: UUID = UUID(int=2**128 - 1)


class Position(Struct, frozen=True):
    """Where a list of a version's signatures continues."""

    resource_id: UUID
    number: int
    key_id: UUID = UUID(int=0)


class _Key(Struct, frozen=True):
    id: UUID
    principal_id: UUID
    name: str
    public_key: bytes
    created_at: datetime
    revoked_at: datetime | None

    def told(self) -> PublisherKey:
        public_key = ed25519.encoded(self.public_key)
        return PublisherKey(
            self.id, self.principal_id, self.name, public_key, self.created_at, self.revoked_at
        )


class _Signature(Struct, frozen=True):
    resource_id: UUID
    number: int
    key_id: UUID
    principal_id: UUID
    public_key: bytes
    signature: bytes
    signed_at: datetime
    revoked_at: datetime | None

    def told(self) -> Signature:
        return Signature(
            self.resource_id,
            self.number,
            self.key_id,
            self.principal_id,
            ed25519.encoded(self.public_key),
            ed25519.encoded(self.signature),
            self.signed_at,
            self.revoked_at,
        )


async def add_key(tx: Transaction, org_id: UUID, key: PublisherKey) -> None:
    """Refused(PublisherKeyTaken) when the org knows this public key, Refused(QuotaExceeded) when it has as many as it may."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('catalog.keys ' || $1, 0))", str(org_id))
    held = await tx.value(
        """
        select count(*) from (
            select from catalog.publisher_keys k where k.org_id = $1 and k.revoked_at is null limit $2
        ) held
        """,
        org_id,
        MAX_PUBLISHER_KEYS,
    )
    if held >= MAX_PUBLISHER_KEYS:
        raise Refused(QuotaExceeded(quota="publisher_keys", limit=MAX_PUBLISHER_KEYS, used=held))
    added = await tx.execute(
        """
        insert into catalog.publisher_keys (org_id, id, principal_id, name, public_key, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict on constraint publisher_keys_public_key do nothing
        """,
        org_id,
        key.id,
        key.principal_id,
        key.name,
        ed25519.decoded(key.public_key),
        key.created_at,
    )
    if not added:
        raise Refused(PublisherKeyTaken())


async def keys(db: Tenant, org_id: UUID, after: KeyPosition, limit: int) -> list[PublisherKey]:
    """Up to `limit` keys of the org behind a position, newest first."""
    rows = await db.rows(
        _Key,
        """
        select k.id, k.principal_id, k.name, k.public_key, k.created_at, k.revoked_at
        from catalog.publisher_keys k
        where k.org_id = $1 and (k.created_at, k.id) < ($2, $3)
        order by k.created_at desc, k.id desc limit $4
        """,
        org_id,
        after.created_at,
        after.id,
        limit,
    )
    return [row.told() for row in rows]


async def own_key(tx: Transaction, viewer: Viewer, key_id: UUID) -> bytes:
    """The public key of a key of the viewer's own that counts, held until the transaction ends. Refused(PublisherKeyNotFound)."""
    public_key = await tx.value(
        """
        select k.public_key from catalog.publisher_keys k
        where k.org_id = $1 and k.id = $2 and k.principal_id = $3 and k.revoked_at is null
        for share
        """,
        viewer.org_id,
        key_id,
        viewer.principal_id,
    )
    if not isinstance(public_key, bytes):
        raise Refused(PublisherKeyNotFound(key_id=key_id))
    return public_key


async def key(tx: Transaction, org_id: UUID, public_key: bytes) -> PublisherKey | None:
    """Whose key this is in the org, held until the transaction ends."""
    row = await tx.row(
        _Key,
        """
        select k.id, k.principal_id, k.name, k.public_key, k.created_at, k.revoked_at
        from catalog.publisher_keys k
        where k.org_id = $1 and k.public_key = $2
        for share
        """,
        org_id,
        public_key,
    )
    return None if row is None else row.told()


async def revoke(tx: Transaction, viewer: Viewer, key_id: UUID, at: datetime) -> None:
    """Let a key count no longer, nor what it signed. Refused(PublisherKeyNotFound)."""
    revoked = await tx.execute(
        """
        update catalog.publisher_keys set revoked_at = $5
        where org_id = $1 and id = $2 and (principal_id = $3 or $4) and revoked_at is null
        """,
        viewer.org_id,
        key_id,
        viewer.principal_id,
        viewer.manages,
        at,
    )
    if not revoked:
        raise Refused(PublisherKeyNotFound(key_id=key_id))
    await tx.execute(
        "update catalog.signatures set revoked_at = $3 where org_id = $1 and key_id = $2",
        viewer.org_id,
        key_id,
        at,
    )


async def sign(tx: Transaction, resource: Resource, signature: Signature) -> Signature:
    """Keep a signature of a locked resource's version; that of the same key again is the one that is there."""
    await tx.execute(
        """
        insert into catalog.signatures (org_id, resource_id, visibility, number, key_id, principal_id, public_key,
            signature, signed_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (org_id, resource_id, number, key_id) do nothing
        """,
        resource.org_id,
        resource.id,
        resource.visibility,
        signature.number,
        signature.key_id,
        signature.principal_id,
        ed25519.decoded(signature.public_key),
        ed25519.decoded(signature.signature),
        signature.signed_at,
    )
    before = Position(resource.id, signature.number, UUID(int=signature.key_id.int - 1))
    [kept] = await page(tx, resource, before, 1)
    return kept


async def page(db: Tenant | Transaction, resource: Resource, after: Position, limit: int) -> list[Signature]:
    """Up to `limit` signatures of a version, by key."""
    rows = await db.rows(
        _Signature,
        """
        select s.resource_id, s.number, s.key_id, s.principal_id, s.public_key, s.signature, s.signed_at, s.revoked_at
        from catalog.signatures s
        where s.org_id = $1 and s.resource_id = $2 and s.number = $3 and s.key_id > $4
        order by s.key_id limit $5
        """,
        resource.org_id,
        resource.id,
        after.number,
        after.key_id,
        limit,
    )
    return [row.told() for row in rows]
