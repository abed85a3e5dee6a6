"""Rows of secrets, their values and openings."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.db import UniqueViolation
from polis.identity.vault.cipher import Place, Wrapped
from polis.identity.vault.envelope import Envelope, Opening
from polis.proto import Refused
from polis.proto.identity import (
    NOTIFYING,
    SECRETS,
    Protection,
    Secret,
    SecretDeleted,
    SecretNameTaken,
    SecretNotFound,
    SecretRotated,
    SecretUpdated,
    TooManySecrets,
)

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

TRIES = 5
"""Wrong passphrases in a row after which none is tried for a while."""
LOCKED = timedelta(minutes=15)


class Stored(Struct, frozen=True):
    """A secret with its value in the envelope, and what is needed to open that."""

    org_id: UUID
    id: UUID
    name: str
    protection: Protection
    owner_id: UUID | None
    used_by: tuple[str, ...]
    version: int
    sealed: bytes
    data_key: bytes
    root_key: str
    salt: bytes | None
    locked_until: datetime | None
    opened_key: bytes | None
    opened_root: str | None
    open_until: datetime | None
    hosts: tuple[str, ...]

    @property
    def envelope(self) -> Envelope:
        return Envelope(self._place, self.sealed, Wrapped(self.root_key, self.data_key), self.salt)

    def opening(self, at: datetime) -> Opening | None:
        """The opening of a sealed one, while there is one."""
        if (
            self.open_until is None
            or self.opened_key is None
            or self.opened_root is None
            or self.open_until <= at
        ):
            return None
        return Opening(self._place, Wrapped(self.opened_root, self.opened_key), self.open_until)

    @property
    def _place(self) -> Place:
        return Place(self.org_id, self.id, self.version)


async def create(tx: Transaction, secret: Secret, envelope: Envelope, owner_id: UUID | None) -> None:
    """Refused(SecretNameTaken | TooManySecrets)."""
    await tx.value("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"secrets {secret.org_id}")
    # One of each member for their notifications is beside the bound: it is not theirs to use up.
    held = await tx.value(
        "select count(*) from identity.secrets where org_id = $1 and (owner_id is null or name <> $2)",
        secret.org_id,
        NOTIFYING,
    )
    if held >= SECRETS and (owner_id is None or secret.name != NOTIFYING):
        raise Refused(TooManySecrets(most=SECRETS))
    try:
        await tx.execute(
            """
            insert into identity.secrets
                (org_id, id, name, protection, owner_id, used_by, version, created_by, created_at, hosts)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            """,
            secret.org_id,
            secret.id,
            secret.name,
            secret.protection,
            owner_id,
            secret.used_by,
            secret.version,
            secret.created_by,
            secret.created_at,
            secret.hosts,
        )
    except UniqueViolation as violation:
        raise _name_taken(violation, secret) from None
    await _put(tx, envelope, secret.created_at, by=secret.created_by)


def _name_taken(violation: UniqueViolation, secret: Secret) -> Exception:
    """What to raise for it; the violation itself where it is of something else."""
    if violation.constraint != "secrets_name":
        return violation
    return Refused(SecretNameTaken(name=secret.name))


async def page(
    db: Tenant, org_id: UUID, principal_id: UUID, after: UUID | None, limit: int, *, at: datetime
) -> list[Secret]:
    """The org's secrets and a principal's own, oldest first."""
    return await db.rows(
        Secret,
        """
        select s.id, s.org_id, s.name, s.protection, s.used_by, s.version, s.created_by, s.created_at, s.rotated_at,
            o.until as open_until, s.hosts
        from identity.secrets s
        left join identity.secret_openings o on o.org_id = s.org_id and o.secret_id = s.id and o.until > $5
        where s.org_id = $1 and (s.owner_id is null or s.owner_id = $2) and s.id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
        order by s.id
        limit $4
        """,
        org_id,
        principal_id,
        after,
        limit,
        at,
    )


async def get(
    db: Tenant | Transaction, org_id: UUID, secret_id: UUID, principal_id: UUID | None, at: datetime
) -> Secret:
    """One of the org's or of a principal's own; anybody's with None. Refused(SecretNotFound)."""
    secret = await db.row(
        Secret,
        """
        select s.id, s.org_id, s.name, s.protection, s.used_by, s.version, s.created_by, s.created_at, s.rotated_at,
            o.until as open_until, s.hosts
        from identity.secrets s
        left join identity.secret_openings o on o.org_id = s.org_id and o.secret_id = s.id and o.until > $4
        where s.org_id = $1 and s.id = $2 and (s.owner_id is null or s.owner_id = $3 or $3::uuid is null)
        """,
        org_id,
        secret_id,
        principal_id,
        at,
    )
    if secret is None:
        raise Refused(SecretNotFound(secret_id=secret_id))
    return secret


async def own(tx: Transaction, org_id: UUID, owner_id: UUID, name: str) -> Secret | None:
    """Somebody's personal secret of this name, locked until the transaction ends."""
    return await tx.row(
        Secret,
        """
        select s.id, s.org_id, s.name, s.protection, s.used_by, s.version, s.created_by, s.created_at, s.rotated_at, s.hosts
        from identity.secrets s
        where s.org_id = $1 and s.owner_id = $2 and s.name = $3 and s.protection = 'personal' for update
        """,
        org_id,
        owner_id,
        name,
    )


async def lock(tx: Transaction, org_id: UUID, secret_id: UUID) -> None:
    """Nobody else changes the secret until the transaction ends."""
    await tx.value(
        "select true from identity.secrets where org_id = $1 and id = $2 for update", org_id, secret_id
    )


async def stored(db: Tenant | Transaction, org_id: UUID, secret_id: UUID) -> Stored | None:
    """A secret with its present value: one statement, so that a rotation or rewrap comes before it or after it."""
    return await db.row(
        Stored,
        """
        select s.org_id, s.id, s.name, s.protection, s.owner_id, s.used_by, s.version, v.sealed, v.data_key, v.root_key,
            v.salt, s.locked_until, o.data_key as opened_key, o.root_key as opened_root, o.until as open_until, s.hosts
        from identity.secrets s
        join identity.secret_values v on v.org_id = s.org_id and v.secret_id = s.id and v.version = s.version
        left join identity.secret_openings o
            on o.org_id = s.org_id and o.secret_id = s.id and o.version = s.version
        where s.org_id = $1 and s.id = $2
        """,
        org_id,
        secret_id,
    )


async def given_by(tx: Transaction, secret: Secret) -> UUID:
    """Who gave a secret its present value."""
    found = await tx.value(
        "select given_by from identity.secret_values where org_id = $1 and secret_id = $2 and version = $3",
        secret.org_id,
        secret.id,
        secret.version,
    )
    return found if isinstance(found, UUID) else secret.created_by


async def rotate(tx: Transaction, envelope: Envelope, at: datetime, *, by: UUID) -> None:
    """Another value for a locked secret, and tell; the one before the last goes, and with it an opening."""
    place = envelope.place
    await _put(tx, envelope, at, by=by)
    await tx.execute(
        """
        update identity.secrets set version = $3, rotated_at = $4, failures = 0, locked_until = null
        where org_id = $1 and id = $2
        """,
        place.org_id,
        place.secret_id,
        place.version,
        at,
    )
    await shut(tx, place.org_id, place.secret_id)
    await tx.execute(
        "delete from identity.secret_values where org_id = $1 and secret_id = $2 and version < $3",
        place.org_id,
        place.secret_id,
        place.version - 1,
    )
    await tx.emit(SecretRotated(place.org_id, place.secret_id, place.version))


async def update(tx: Transaction, secret: Secret) -> None:
    """Another name, other services or hosts for a locked secret, and tell. Refused(SecretNameTaken)."""
    try:
        await tx.execute(
            "update identity.secrets set name = $3, used_by = $4, hosts = $5 where org_id = $1 and id = $2",
            secret.org_id,
            secret.id,
            secret.name,
            secret.used_by,
            secret.hosts,
        )
    except UniqueViolation as violation:
        raise _name_taken(violation, secret) from None
    await tx.emit(SecretUpdated(secret.org_id, secret.id, secret.used_by, secret.hosts))


async def delete(tx: Transaction, org_id: UUID, secret_id: UUID) -> None:
    """Delete it with its values, and tell."""
    gone = await tx.execute("delete from identity.secrets where org_id = $1 and id = $2", org_id, secret_id)
    if gone:
        await tx.emit(SecretDeleted(org_id, secret_id))


async def forget(tx: Transaction, org_id: UUID, owner_id: UUID) -> None:
    """Delete what was somebody's own, and tell: nobody else can use it."""
    for secret_id in await tx.rows(
        UUID,
        "delete from identity.secrets where org_id = $1 and owner_id = $2 returning id",
        org_id,
        owner_id,
    ):
        await tx.emit(SecretDeleted(org_id, secret_id))


async def open_(tx: Transaction, opening: Opening) -> None:
    """Keep an opening of a locked secret, instead of the one before; the tries that led to it are forgotten."""
    place = opening.place
    await tx.execute(
        """
        insert into identity.secret_openings (org_id, secret_id, version, data_key, root_key, until)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (org_id, secret_id) do update
        set version = excluded.version, data_key = excluded.data_key, root_key = excluded.root_key, until = excluded.until
        """,
        place.org_id,
        place.secret_id,
        place.version,
        opening.key.data_key,
        opening.key.root_key,
        opening.until,
    )
    await tx.execute(
        "update identity.secrets set failures = 0, locked_until = null where org_id = $1 and id = $2",
        place.org_id,
        place.secret_id,
    )


async def shut(tx: Transaction, org_id: UUID, secret_id: UUID) -> None:
    await tx.execute(
        "delete from identity.secret_openings where org_id = $1 and secret_id = $2", org_id, secret_id
    )


async def count_try(tx: Transaction, org_id: UUID, secret_id: UUID, at: datetime) -> None:
    """Count a passphrase that is about to be tried on a locked secret; after many, none is tried for a while."""
    await tx.execute(
        """
        update identity.secrets
        set failures = (failures + 1) % $3, locked_until = case when failures + 1 >= $3 then $4::timestamptz end
        where org_id = $1 and id = $2
        """,
        org_id,
        secret_id,
        TRIES,
        at + LOCKED,
    )


async def _put(tx: Transaction, envelope: Envelope, at: datetime, *, by: UUID) -> None:
    place = envelope.place
    await tx.execute(
        """
        insert into identity.secret_values
            (org_id, secret_id, version, sealed, data_key, root_key, salt, created_at, given_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        place.org_id,
        place.secret_id,
        place.version,
        envelope.sealed,
        envelope.key.data_key,
        envelope.key.root_key,
        envelope.salt,
        at,
        by,
    )
