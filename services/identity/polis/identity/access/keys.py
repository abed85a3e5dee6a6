"""Rows of API keys and what their text is: `pk_<id>_<secret><checksum>`.

The id finds the row, the secret's hash decides, and the checksum lets a scanner tell a key from its look-alikes, and us
refuse a mistyped one without asking the database.
"""

from __future__ import annotations

import hmac
import secrets
import zlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.access import quotas
from polis.identity.tokens.opaque import Opaque, digest
from polis.proto import Refused
from polis.proto.identity import ApiKey, KeyCreated, KeyNotFound, KeyRevoked, Scopes, TooManyKeys

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

MAX_KEYS = 50
"""Keys of one principal in an org."""
USED_EVERY = timedelta(minutes=1)
"""How exactly the last use is known: it is not written more often."""
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CHECKSUM = 22, 43, 6
"""Digits, base 62, of 128, 256 and 32 bits."""


class Found(Struct, frozen=True):
    """What a presented key is checked against. `key_scopes`: what keys may do in the org at the most."""

    org_id: UUID
    id: UUID
    principal_id: UUID
    hash: bytes
    previous_hash: bytes | None
    previous_until: datetime | None
    scopes: Scopes
    sid: UUID
    expires_at: datetime | None
    last_used_at: datetime | None
    key_scopes: Scopes | None


def mint(key_id: UUID) -> Opaque:
    """A new secret text of a key."""
    body = f"pk_{_digits(key_id.int, _ID)}_{_digits(secrets.randbits(256), _SECRET)}"
    text = body + _checksum(body)
    return Opaque(text, digest(text))


def hint(text: str) -> str:
    """What of a key's text may be shown to know it again: all before the secret."""
    return text.rpartition("_")[0]


def id_of(text: str) -> UUID | None:
    """The id in a key's text; None when that is none, or mistyped."""
    prefix, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    if prefix != "pk" or len(number) != _ID or len(secret) != _SECRET + _CHECKSUM:
        return None
    if not hmac.compare_digest(_checksum(text[:-_CHECKSUM]).encode(), text[-_CHECKSUM:].encode()):
        return None
    value = 0
    for digit in number:
        value = value * 62 + _DIGITS.find(digit)
    return UUID(int=value) if 0 <= value < 1 << 128 and "_" not in secret else None


def fits(found: Found, text: str, at: datetime) -> bool:
    """Whether a text is the key's at that moment."""
    if found.expires_at is not None and found.expires_at <= at:
        return False
    given = digest(text)
    overlaps = found.previous_until is not None and found.previous_until > at
    is_previous = overlaps and hmac.compare_digest(found.previous_hash or b"", given)
    return hmac.compare_digest(found.hash, given) or is_previous


def ends_at(found: Found, text: str) -> datetime | None:
    """When a text that fits does so no more by itself: with the key, or with the overlap that it was rotated away with."""
    ends = [found.expires_at]
    if not hmac.compare_digest(found.hash, digest(text)):
        ends.append(found.previous_until)
    return min((end for end in ends if end is not None), default=None)


async def create(tx: Transaction, key: ApiKey, secret: Opaque, *, sid: UUID, at: datetime) -> None:
    """Store a new key, and tell. Refused(TooManyKeys)."""
    await tx.value("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"keys {key.principal_id}")
    held = await tx.value(
        """
        select count(*) from identity.api_keys
        where org_id = $1 and principal_id = $2 and (expires_at is null or expires_at > $3)
        """,
        key.org_id,
        key.principal_id,
        at,
    )
    if held >= MAX_KEYS:
        raise Refused(TooManyKeys(most=MAX_KEYS))
    await tx.execute(
        """
        insert into identity.api_keys
            (org_id, id, principal_id, name, hint, hash, scopes, unit_id, sid, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        key.org_id,
        key.id,
        key.principal_id,
        key.name,
        key.hint,
        secret.hash,
        key.scopes,
        key.unit_id,
        sid,
        key.created_at,
        key.expires_at,
    )
    await tx.emit(KeyCreated(key.org_id, key.id, key.principal_id))


async def page(
    db: Tenant, org_id: UUID, principal_id: UUID | None, after: UUID | None, limit: int
) -> list[ApiKey]:
    """Keys of a principal, or of everybody with None, oldest first."""
    return await db.rows(
        ApiKey,
        """
        select id, org_id, name, hint, principal_id, scopes, created_at, unit_id, expires_at, last_used_at, rotated_at
        from identity.api_keys
        where org_id = $1 and ($2::uuid is null or principal_id = $2) and id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
        order by id
        limit $4
        """,
        org_id,
        principal_id,
        after,
        limit,
    )


async def get(db: Tenant | Transaction, org_id: UUID, key_id: UUID, principal_id: UUID | None) -> ApiKey:
    """A key of a principal, or anybody's with None. Refused(KeyNotFound)."""
    key = await db.row(
        ApiKey,
        """
        select id, org_id, name, hint, principal_id, scopes, created_at, unit_id, expires_at, last_used_at, rotated_at
        from identity.api_keys
        where org_id = $1 and id = $2 and ($3::uuid is null or principal_id = $3)
        """,
        org_id,
        key_id,
        principal_id,
    )
    if key is None:
        raise Refused(KeyNotFound(key_id=key_id))
    return key


async def rotate(tx: Transaction, key: ApiKey, secret: Opaque, until: datetime, at: datetime) -> None:
    """Another secret; the present one holds until then, and one that was still overlapping ends now."""
    await tx.execute(
        """
        update identity.api_keys
        set hash = $3, previous_hash = hash, previous_until = $4, rotated_at = $5
        where org_id = $1 and id = $2
        """,
        key.org_id,
        key.id,
        secret.hash,
        until,
        at,
    )


async def revoke(tx: Transaction, key: ApiKey) -> UUID | None:
    """Delete a key, and tell; its session id, or None when another was faster."""
    sid = await tx.value(
        "delete from identity.api_keys where org_id = $1 and id = $2 returning sid", key.org_id, key.id
    )
    if not isinstance(sid, UUID):
        return None
    await quotas.forget(tx, key.org_id, "key", key.id)
    await tx.emit(KeyRevoked(key.org_id, key.id, key.principal_id))
    return sid


async def revoke_of(tx: Transaction, org_id: UUID, principal_id: UUID) -> list[UUID]:
    """Delete a principal's keys in an org, and tell; their session ids."""
    gone = await tx.rows(
        _Gone,
        "delete from identity.api_keys where org_id = $1 and principal_id = $2 returning id, sid",
        org_id,
        principal_id,
    )
    for key in gone:
        await quotas.forget(tx, org_id, "key", key.id)
        await tx.emit(KeyRevoked(org_id, key.id, principal_id))
    return [key.sid for key in gone]


async def renew_sid(tx: Transaction, key: ApiKey) -> UUID:
    """Give a key another session id; the old one is the caller's to revoke."""
    old: UUID = await tx.value(
        "update identity.api_keys set sid = uuidv7() where org_id = $1 and id = $2 returning old.sid",
        key.org_id,
        key.id,
    )
    return old


async def renew_sids(tx: Transaction, org_id: UUID, principal_id: UUID) -> list[UUID]:
    """Give a principal's keys other session ids; the old ones are the caller's to revoke."""
    return await tx.rows(
        UUID,
        """
        update identity.api_keys set sid = uuidv7() where org_id = $1 and principal_id = $2 returning old.sid
        """,
        org_id,
        principal_id,
    )


async def find(tx: Transaction, key_id: UUID) -> Found | None:
    """What a presented key is checked against. Asked across orgs."""
    return await tx.row(
        Found,
        """
        select k.org_id, k.id, k.principal_id, k.hash, k.previous_hash, k.previous_until, k.scopes, k.sid,
            k.expires_at, k.last_used_at, o.key_scopes
        from identity.api_keys k
        join identity.orgs o on o.org_id = k.org_id
        where k.id = $1
        """,
        key_id,
    )


async def note_use(tx: Transaction, found: Found, at: datetime) -> None:
    """Write that a key was used, unless that was written a moment ago. Nobody waits for somebody else's writing it."""
    if found.last_used_at is not None and found.last_used_at + USED_EVERY > at:
        return
    await tx.execute(
        """
        update identity.api_keys set last_used_at = $3
        where org_id = $1 and id in (
            select id from identity.api_keys where org_id = $1 and id = $2 for no key update skip locked
        )
        """,
        found.org_id,
        found.id,
        at,
    )


class _Gone(Struct, frozen=True):
    id: UUID
    sid: UUID


def _checksum(body: str) -> str:
    return _digits(zlib.crc32(body.encode()), _CHECKSUM)


def _digits(value: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        value, digit = divmod(value, 62)
        digits = _DIGITS[digit] + digits
    return digits
