"""Rows of change sets: proposed, reviewed, applied, undone. What a change does stands in the engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused
from polis.proto.catalog import (
    MAX_CHANGES,
    MAX_OPEN_SETS,
    MAX_SET_BYTES,
    Change,
    ChangeSet,
    ChangeSetNotFound,
    ChangeSetState,
    ChangeSetTooLarge,
    QuotaExceeded,
    SetStatus,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.catalog.access import Viewer
    from polis.catalog.changes.engine import Made
    from polis.db import Tenant, Transaction

PAGE_BYTES = 640 * 1024
"""Bytes of changes on a page: with a last one of 512 KiB it is still one message of the bus."""


class Position(Struct, frozen=True):
    """Where a list of sets continues, in the filter that it had. The default lies before all."""

    status: SetStatus | None = None
    created_at: datetime = datetime.max.replace(tzinfo=UTC)
    id: UUID = UUID(int=2**128 - 1)


class ChangePosition(Struct, frozen=True):
    """Where a list of changes continues: behind this one."""

    set_id: UUID
    n: int = 0


class Numbered(Struct, frozen=True):
    """A change as it is stored, and its place in its set."""

    n: int
    change: str


class Effect(Struct, frozen=True):
    """What an applied set did to a resource: as it was before (changes as JSON), and the digest of what it was after."""

    type: str
    key: str
    before: str | None
    after: str | None


async def create(
    tx: Transaction, org_id: UUID, set_id: UUID, title: str, *, review: bool, by: UUID, at: datetime
) -> ChangeSet:
    """A new set without changes. Refused(QuotaExceeded), whatever else is proposed at this moment."""
    await tx.execute(
        "select pg_advisory_xact_lock(hashtextextended('catalog.open_sets ' || $1, 0))", str(org_id)
    )
    held = await tx.value(
        """
        select count(*) from (
            select from catalog.change_sets s
            where s.org_id = $1 and s.status in ('open', 'approved', 'rejected') limit $2
        ) held
        """,
        org_id,
        MAX_OPEN_SETS,
    )
    if held >= MAX_OPEN_SETS:
        raise Refused(QuotaExceeded(quota="open_change_sets", limit=MAX_OPEN_SETS, used=held))
    await tx.execute(
        """
        insert into catalog.change_sets (org_id, id, title, review, created_by, created_at)
        values ($1, $2, $3, $4, $5, $6)
        """,
        org_id,
        set_id,
        title,
        review,
        by,
        at,
    )
    return ChangeSet(
        set_id, org_id, title, "open", review, private=False, size=0, created_by=by, created_at=at
    )


async def add(tx: Transaction, found: ChangeSet, changes: Sequence[Change]) -> ChangeSet:
    """Add changes behind those of a locked set. Refused(ChangeSetTooLarge)."""
    texts = [msgspec.json.encode(change) for change in changes]
    private = found.private or await _private(tx, found.org_id, changes)
    grown = await tx.execute(
        """
        update catalog.change_sets set size = size + $3, bytes = bytes + $4, private = $5
        where org_id = $1 and id = $2 and size + $3 <= $6 and bytes + $4 <= $7
        """,
        found.org_id,
        found.id,
        len(texts),
        sum(map(len, texts)),
        private,
        MAX_CHANGES,
        MAX_SET_BYTES,
    )
    if not grown:
        raise Refused(ChangeSetTooLarge(max_changes=MAX_CHANGES, max_bytes=MAX_SET_BYTES))
    await tx.execute(
        """
        insert into catalog.changes (org_id, set_id, n, change)
        select $1, $2, $3 + c.n, c.change from unnest($4::text[]) with ordinality as c (change, n)
        """,
        found.org_id,
        found.id,
        found.size,
        [text.decode() for text in texts],
    )
    return msgspec.structs.replace(found, size=found.size + len(texts), private=private)


async def _private(tx: Transaction, org_id: UUID, changes: Sequence[Change]) -> bool:
    """Whether changes tell of something that not everybody in the org may see."""
    if any(change.visibility == "private" for change in changes):
        return True
    found = await tx.value(
        """
        select true from catalog.resources r
        where r.org_id = $1 and r.visibility = 'private'
            and (r.type, r.key) in (select * from unnest($2::text[], $3::text[]))
        limit 1
        """,
        org_id,
        [change.type for change in changes],
        [change.key for change in changes],
    )
    return found is not None


async def get(db: Tenant | Transaction, viewer: Viewer, set_id: UUID) -> ChangeSet:
    """A set that the viewer may see. Refused(ChangeSetNotFound)."""
    found = await db.row(
        ChangeSet,
        """
        select s.id, s.org_id, s.title, s.status, s.review, s.private, s.size, s.created_by, s.created_at,
            s.reviewed_by, s.reviewed_at, s.review_note, s.applied_by, s.applied_at, s.undone_by, s.undone_at
        from catalog.change_sets s
        where s.org_id = $1 and s.id = $2 and (not s.private or s.created_by = $3 or $4)
        """,
        viewer.org_id,
        set_id,
        viewer.principal_id,
        viewer.manages,
    )
    if found is None:
        raise Refused(ChangeSetNotFound(set_id=set_id))
    return found


async def lock(tx: Transaction, viewer: Viewer, set_id: UUID) -> ChangeSet:
    """A set that the viewer may see, locked until the transaction ends. Refused(ChangeSetNotFound)."""
    await tx.execute(
        "select from catalog.change_sets s where s.org_id = $1 and s.id = $2 for update",
        viewer.org_id,
        set_id,
    )
    return await get(tx, viewer, set_id)


async def page(db: Tenant, viewer: Viewer, after: Position, limit: int) -> list[ChangeSet]:
    """Up to `limit` sets behind a position, newest first."""
    return await db.rows(
        ChangeSet,
        """
        select s.id, s.org_id, s.title, s.status, s.review, s.private, s.size, s.created_by, s.created_at,
            s.reviewed_by, s.reviewed_at, s.review_note, s.applied_by, s.applied_at, s.undone_by, s.undone_at
        from catalog.change_sets s
        where s.org_id = $1 and (not s.private or s.created_by = $2 or $3)
            and ($4::text is null or s.status = $4) and (s.created_at, s.id) < ($5, $6)
        order by s.created_at desc, s.id desc limit $7
        """,
        viewer.org_id,
        viewer.principal_id,
        viewer.manages,
        after.status,
        after.created_at,
        after.id,
        limit,
    )


async def changes(db: Tenant | Transaction, found: ChangeSet) -> list[Change]:
    """All changes of a set, in their order."""
    rows = await db.rows(
        str,
        "select c.change from catalog.changes c where c.org_id = $1 and c.set_id = $2 order by c.n",
        found.org_id,
        found.id,
    )
    return [msgspec.json.decode(row, type=Change) for row in rows]


async def change_page(db: Tenant, found: ChangeSet, after: int, limit: int) -> list[Numbered]:
    """Changes of a set behind one, up to `limit` and to PAGE_BYTES, but one at least."""
    return await db.rows(
        Numbered,
        """
        select p.n, p.change from (
            select c.n, c.change, sum(octet_length(c.change)) over (order by c.n) - octet_length(c.change) as before
            from catalog.changes c
            where c.org_id = $1 and c.set_id = $2 and c.n > $3
            order by c.n limit $4
        ) p
        where p.before + octet_length(p.change) <= $5 or p.before = 0
        order by p.n
        """,
        found.org_id,
        found.id,
        after,
        limit,
        PAGE_BYTES,
    )


async def review(
    tx: Transaction, found: ChangeSet, *, approve: bool, note: str, by: UUID, at: datetime
) -> ChangeSet:
    """Approve or reject a locked set. Refused(ChangeSetState) for one's own, or when it is not open."""
    if found.status != "open" or not found.review:
        raise Refused(ChangeSetState(reason="it does not wait for a review"))
    if found.created_by == by:
        raise Refused(ChangeSetState(reason="somebody else reviews it"))
    reviewed = msgspec.structs.replace(
        found,
        status="approved" if approve else "rejected",
        reviewed_by=by,
        reviewed_at=at,
        review_note=note,
    )
    await tx.execute(
        """
        update catalog.change_sets set status = $3, reviewed_by = $4, reviewed_at = $5, review_note = $6
        where org_id = $1 and id = $2
        """,
        found.org_id,
        found.id,
        reviewed.status,
        by,
        at,
        note,
    )
    return reviewed


def demand_applicable(found: ChangeSet) -> None:
    """Refused(ChangeSetState) unless nothing stands between a set and its application."""
    if found.status == "open" and found.review:
        raise Refused(ChangeSetState(reason="it waits for a review"))
    if found.status not in ("open", "approved"):
        raise Refused(ChangeSetState(reason=f"it is {found.status}"))


async def applied(tx: Transaction, found: ChangeSet, made: Made, *, by: UUID, at: datetime) -> ChangeSet:
    """Keep that a locked set was applied, and how everything was before."""
    await tx.execute(
        """
        update catalog.change_sets set status = 'applied', applied_by = $3, applied_at = $4
        where org_id = $1 and id = $2
        """,
        found.org_id,
        found.id,
        by,
        at,
    )
    await tx.execute(
        """
        insert into catalog.effects (org_id, set_id, type, key, before, after, resource_id)
        select $1, $2, e.type, e.key, e.before, e.after, e.resource_id
        from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[])
            as e (type, key, before, after, resource_id)
        """,
        found.org_id,
        found.id,
        [kind for kind, _ in made.before],
        [key for _, key in made.before],
        [None if state is None else msgspec.json.encode(state).decode() for state in made.before.values()],
        [made.after[name] for name in made.before],
        [made.ids.get(name) for name in made.before],
    )
    return msgspec.structs.replace(found, status="applied", applied_by=by, applied_at=at)


async def effects(tx: Transaction, found: ChangeSet) -> list[Effect]:
    return await tx.rows(
        Effect,
        """
        select e.type, e.key, e.before, e.after from catalog.effects e
        where e.org_id = $1 and e.set_id = $2
        order by e.type, e.key
        """,
        found.org_id,
        found.id,
    )


async def undone(tx: Transaction, found: ChangeSet, made: Made, *, by: UUID, at: datetime) -> ChangeSet:
    """Keep that a locked set was undone, and how everything was before that."""
    await tx.execute(
        """
        update catalog.change_sets set status = 'undone', undone_by = $3, undone_at = $4
        where org_id = $1 and id = $2
        """,
        found.org_id,
        found.id,
        by,
        at,
    )
    await tx.execute(
        """
        update catalog.effects e set before_undo = u.before, resource_id = coalesce(e.resource_id, u.resource_id)
        from unnest($3::text[], $4::text[], $5::text[], $6::uuid[]) as u (type, key, before, resource_id)
        where e.org_id = $1 and e.set_id = $2 and e.type = u.type and e.key = u.key
        """,
        found.org_id,
        found.id,
        [kind for kind, _ in made.before],
        [key for _, key in made.before],
        [msgspec.json.encode(state or []).decode() for state in made.before.values()],
        [made.ids.get(name) for name in made.before],
    )
    return msgspec.structs.replace(found, status="undone", undone_by=by, undone_at=at)


async def withdraw(tx: Transaction, viewer: Viewer, found: ChangeSet) -> None:
    """Drop a locked set that was never applied. Refused(ChangeSetState)."""
    if found.status in ("applied", "undone"):
        raise Refused(ChangeSetState(reason=f"it is {found.status}"))
    if not (viewer.manages or viewer.principal_id == found.created_by):
        raise Refused(ChangeSetState(reason="it is somebody else's"))
    await tx.execute("delete from catalog.change_sets where org_id = $1 and id = $2", found.org_id, found.id)
