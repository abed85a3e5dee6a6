"""Files that messages carry. Who may read a message reads a private file that its owner has sent with it, for as long as that holds."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.messaging import access
from polis.proto.identity import DataClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Transaction
    from polis.messaging.own import Own
    from polis.proto.messaging import CheckFile, Message
    from polis.service import Context

_LOOKED_AT = 1_000
"""Messages of one file: the latest of each conversation."""
_BY_GRANT = 10
"""Conversations for which it is asked whether a grant opens them."""


class _Place(Struct, frozen=True):
    """A conversation with such a message. seen: by taking part in it, or because it is open to the org."""

    id: UUID
    data_class: DataClass
    seen: bool


async def keep(tx: Transaction, said: Sequence[tuple[UUID, Message]]) -> None:
    """Note which files messages carry, each with its org; nothing where they carry none."""
    found = [
        (org_id, message.conversation_id, message.seq, part.artifact_id, message.sender_id)
        for org_id, message in said
        for part in message.parts
        if part.artifact_id is not None
    ]
    if not found:
        return
    await tx.execute(
        """
        insert into messaging.files (org_id, conversation_id, seq, artifact_id, sender_id)
        select n.org_id, n.conversation_id, n.seq, n.artifact_id, n.sender_id
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::uuid[])
            as n (org_id, conversation_id, seq, artifact_id, sender_id)
        on conflict do nothing
        """,
        *[list(column) for column in zip(*found, strict=True)],
    )


async def shown(ctx: Context[Own], asked: CheckFile) -> bool:
    """Whether somebody may read a message by which the owner of a file has sent it."""
    async with ctx.own.database.transaction([asked.org_id], deadline=ctx.deadline) as tx:
        places = await _places(tx, asked)
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
            select f.conversation_id, f.seq from messaging.files f
            where f.org_id = $1 and f.artifact_id = $2 and f.sender_id = $3
            order by f.conversation_id, f.seq desc limit $5
        ) f
        join messaging.messages m on m.org_id = $1 and m.conversation_id = f.conversation_id and m.seq = f.seq
        join messaging.conversations c on c.org_id = $1 and c.id = f.conversation_id
        left join messaging.participants p
            on p.org_id = $1 and p.conversation_id = f.conversation_id and p.principal_id = $4
        where strpos(coalesce(m.more, ''), $2::text) > 0 and p.state is distinct from 'banned'
        order by c.id
        """,
        asked.org_id,
        asked.artifact_id,
        asked.owner_id,
        asked.principal_id,
        _LOOKED_AT,
    )
