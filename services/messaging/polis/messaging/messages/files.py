"""Files that messages carry. Who may read a message reads a private file that its sender had to give, for as long as that holds.

One's own is one's to give, and what one got by a message, into another conversation that is as confidential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args
from uuid import UUID

from msgspec import Struct

from polis.messaging import access
from polis.proto.identity import DataClass
from polis.proto.messaging import CheckFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Transaction
    from polis.messaging.own import Own
    from polis.proto.catalog import Artifact
    from polis.proto.messaging import Message
    from polis.service import Context

_LOOKED_AT = 1_000
"""Messages of one file, of each who sent it: nobody takes it from others by sending it on without end."""
_BY_GRANT = 10
"""Conversations for which it is asked whether a grant opens them."""
_CLASSES: tuple[DataClass, ...] = get_args(get_args(DataClass)[0])
"""The least sensitive first."""


class _Place(Struct, frozen=True):
    """A conversation with such a message. seen: by taking part in it, or because it is open to the org."""

    id: UUID
    data_class: DataClass
    seen: bool


async def keep(tx: Transaction, said: Sequence[tuple[UUID, Message, frozenset[UUID]]]) -> None:
    """Note which files messages carry, each with its org and what of others is sent on by it; nothing where they carry none."""
    found = [
        (
            org_id,
            message.conversation_id,
            message.seq,
            part.artifact_id,
            message.sender_id,
            part.artifact_id in sent_on,
        )
        for org_id, message, sent_on in said
        for part in message.parts
        if part.artifact_id is not None
    ]
    if not found:
        return
    await tx.execute(
        """
        insert into messaging.files (org_id, conversation_id, seq, artifact_id, sender_id, sent_on)
        select n.org_id, n.conversation_id, n.seq, n.artifact_id, n.sender_id, n.sent_on
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::uuid[], $6::boolean[])
            as n (org_id, conversation_id, seq, artifact_id, sender_id, sent_on)
        on conflict (org_id, conversation_id, seq, artifact_id) do update set sent_on = excluded.sent_on
        """,
        *[list(column) for column in zip(*dict.fromkeys(found), strict=True)],
    )


async def shown(ctx: Context[Own], asked: CheckFile) -> bool:
    """Whether somebody may read a message that opens a file of this owner."""
    async with ctx.own.database.transaction([asked.org_id], deadline=ctx.deadline) as tx:
        places = await _places(tx, asked)
    return await _open(ctx, asked, places)


async def may_send_on(ctx: Context[Own], artifact: Artifact, conversation_id: UUID) -> bool:
    """Whether the caller got somebody else's file by a message, and of no conversation more confidential than this one."""
    org_id, sender_id = ctx.actor.org_id, ctx.actor.principal_id
    if artifact.org_id != org_id or artifact.created_by == sender_id:
        return False
    asked = CheckFile(org_id, artifact.id, artifact.created_by, sender_id)
    async with ctx.own.database.transaction([org_id], deadline=ctx.deadline) as tx:
        into = await tx.value(
            "select c.data_class from messaging.conversations c where c.org_id = $1 and c.id = $2",
            org_id,
            conversation_id,
        )
        places = await _places(tx, asked) if into else []
    return await _open(ctx, asked, [each for each in places if _rank(each.data_class) <= _rank(into)])


def _rank(data_class: str) -> int:
    return [str(each) for each in _CLASSES].index(data_class)


async def _open(ctx: Context[Own], asked: CheckFile, places: Sequence[_Place]) -> bool:
    if any(place.seen for place in places):
        return True
    for place in places[:_BY_GRANT]:
        if await access.granted_to(ctx, asked.org_id, place.id, asked.principal_id, place.data_class):
            return True
    return False


async def _places(tx: Transaction, asked: CheckFile) -> list[_Place]:
    """Where it was sent and is still there, but for those that somebody is banned from."""
    return await tx.rows(
        _Place,
        """
        select distinct c.id, c.data_class, (p.state is not distinct from 'joined' or c.visibility = 'org') as seen
        from (
            select f.conversation_id, f.seq,
                row_number() over (partition by f.sender_id order by f.conversation_id desc, f.seq desc) as nth
            from messaging.files f
            where f.org_id = $1 and f.artifact_id = $2 and (f.sender_id = $3 or f.sent_on)
        ) f
        cross join lateral (
            select s.more from messaging.messages s
            where s.org_id = $1 and s.conversation_id = f.conversation_id and s.seq = f.seq offset 0
        ) m
        cross join lateral (
            select d.id, d.data_class, d.visibility from messaging.conversations d
            where d.org_id = $1 and d.id = f.conversation_id offset 0
        ) c
        left join messaging.participants p
            on p.org_id = $1 and p.conversation_id = f.conversation_id and p.principal_id = $4
        where f.nth <= $5 and strpos(coalesce(m.more, ''), $2::text) > 0 and p.state is distinct from 'banned'
        order by c.id
        """,
        asked.org_id,
        asked.artifact_id,
        asked.owner_id,
        asked.principal_id,
        _LOOKED_AT,
    )
