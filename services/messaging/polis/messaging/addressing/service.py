"""Answers about whom a message is for. It is asked once for each message of an org in which somebody answers by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.messaging.messages import rows
from polis.messaging.own import Own
from polis.proto import Refused, messaging
from polis.proto.identity import PrincipalKind
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.proto.messaging import Message

handlers = Handlers()


class _Inside(Struct, frozen=True):
    """The sender, and those who may be meant. there: whether they take part and may answer; meant: by where it was said, and when."""

    principal_id: UUID
    kind: PrincipalKind
    there: bool
    meant: bool


@handlers.handles(messaging.GetAddressed)
async def get_addressed(request: messaging.GetAddressed, ctx: Context[Own]) -> messaging.Addressed:
    async with ctx.own.database.snapshot(request.org_id, deadline=ctx.deadline) as tx:
        try:
            message = await rows.get(tx, request.conversation_id, request.seq)
        except Refused:  # retention has taken it
            return messaging.Addressed()
        if message.deleted_at is not None:
            return messaging.Addressed()
        answered = [seq for seq in (message.reply_to, message.thread) if seq is not None]
        if await _is_asked(tx, message, answered):
            return messaging.Addressed()
        senders = [m.sender_id for m in (await rows.these(tx, request.conversation_id, answered)).values()]
        inside = await tx.rows(
            _Inside,
            """
            select p.principal_id, p.kind, p.state = 'joined' and p.role <> 'observer' as there,
                coalesce(p.principal_id = c.responsible_id
                    or (p.principal_id in (c.first_id, c.second_id) and c.responsible_id in (c.first_id, c.second_id)), false) as meant
            from (
                select c.org_id, c.id, c.archived_at, c.first_id, c.second_id,
                    case when c.responsible_from < $4 then c.responsible_id else (
                        select (e.body::jsonb ->> 'responsible_id')::uuid from messaging.entries e
                        where e.org_id = c.org_id and e.conversation_id = c.id and e.seq < $4
                            and e.kind in ('created', 'changed', 'responsible')
                        order by e.seq desc limit 1
                    ) end as responsible_id
                from messaging.conversations c
            ) c
            join messaging.participants p on p.org_id = c.org_id and p.conversation_id = c.id
            where c.org_id = $1 and c.id = $2 and c.archived_at is null
                and (p.principal_id = any($3::uuid[]) or p.principal_id in (c.first_id, c.second_id, c.responsible_id))
            order by p.principal_id
            """,
            request.org_id,
            request.conversation_id,
            [message.sender_id, *message.mentions, *senders],
            request.seq,
        )
    named = {*message.mentions, *senders}
    meant = [
        each.principal_id
        for each in inside
        if each.there
        and each.principal_id != message.sender_id
        and (each.meant or each.principal_id in named)
    ]
    kinds = {each.principal_id: each.kind for each in inside}
    return messaging.Addressed(tuple(meant), message.sender_id, kinds.get(message.sender_id, "user"))


async def _is_asked(tx: Transaction, message: Message, answered: list[int]) -> bool:
    """Whether it asks for a run, or answers that: the run hears of it, and nobody starts another one."""
    return bool(
        await tx.value(
            """
            select true from messaging.asked a
            where a.org_id = $1 and a.conversation_id = $2 and a.seq = any($3::bigint[]) limit 1
            """,
            tx.org_id,
            message.conversation_id,
            [message.seq, *answered],
        )
    )
