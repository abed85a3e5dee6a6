"""Rows of the audit log: written in the transaction of what they tell of, chained per org, read by number."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

GENESIS = bytes(32)
"""Stands for the record before the first."""
_LONGEST = 400
"""Characters kept of a text: the log tells what was done, it does not hold what it was done with."""


class Told(Struct, frozen=True):
    """What a record says. `detail`: a JSON object as text."""

    org_id: UUID
    at: datetime
    action: str
    actor_id: UUID | None
    subject: str
    detail: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of it in one spelling: a JSON array, with the time in microseconds since 1970."""
        since = self.at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        actor = None if self.actor_id is None else str(self.actor_id)
        told = [str(self.org_id), micros, self.action, actor, self.subject, self.detail]
        return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).digest()


class Stored(Told, frozen=True):
    """A record in its chain."""

    n: int
    hash: bytes


async def record(
    tx: Transaction,
    *,
    org_id: UUID,
    action: str,
    actor_id: UUID | None,
    subject: str = "",
    detail: dict[str, str] | None = None,
    at: datetime,
) -> None:
    """Write that something was done, to commit with it. `action`: `<noun>.<past>`; nothing secret goes into `detail`.

    The org's chain is held from here to the end of the transaction: let it be the last statement.
    """
    text = json.dumps({k: _kept(v) for k, v in sorted((detail or {}).items())}, separators=(",", ":"))
    told = Told(org_id, at, action, actor_id, _kept(subject), text)
    await tx.execute(
        """
        with head as (
            insert into identity.audit_heads as h (org_id, n, hash)
            values ($1, 1, sha256($7 || int8send(1) || $8))
            on conflict (org_id) do update set n = h.n + 1, hash = sha256(h.hash || int8send(h.n + 1) || $8)
            returning h.n, h.hash
        )
        insert into identity.audit (org_id, n, at, action, actor_id, subject, detail, hash)
        select $1, head.n, $2, $3, $4, $5, $6, head.hash from head
        """,
        told.org_id,
        told.at,
        told.action,
        told.actor_id,
        told.subject,
        told.detail,
        GENESIS,
        told.digest,
    )


def chained(before: bytes, n: int, content: bytes) -> bytes:
    """The hash of record `n`, behind a record with this hash."""
    return hashlib.sha256(before + n.to_bytes(8, "big") + content).digest()


async def page(
    db: Tenant, org_id: UUID, before: int | None, limit: int, *, action: str | None, actor_id: UUID | None
) -> list[Stored]:
    """Newest first."""
    return await db.rows(
        Stored,
        """
        select org_id, n, at, action, actor_id, subject, detail, hash
        from identity.audit
        where org_id = $1 and n < coalesce($2::bigint, 9223372036854775807)
            and ($4::text is null or action = $4) and ($5::uuid is null or actor_id = $5)
        order by n desc
        limit $3
        """,
        org_id,
        before,
        limit,
        action,
        actor_id,
    )


async def behind(db: Tenant | Transaction, org_id: UUID, n: int, limit: int) -> list[Stored]:
    """Oldest first."""
    return await db.rows(
        Stored,
        """
        select org_id, n, at, action, actor_id, subject, detail, hash
        from identity.audit
        where org_id = $1 and n > $2
        order by n
        limit $3
        """,
        org_id,
        n,
        limit,
    )


def _kept(text: str) -> str:
    """What PostgreSQL takes of a text, and not more than is of use."""
    return text.replace("\0", "")[:_LONGEST].encode("utf-8", "replace").decode()
