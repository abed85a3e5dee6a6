"""Answers to who looks for what was said: in what they take part in, or in one conversation that they may see."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.messaging import access
from polis.messaging.messages.rows import COLUMNS, PAGE_BYTES, MessageRow
from polis.messaging.own import Own
from polis.proto import Page, Refused, messaging
from polis.proto.contract import LATEST
from polis.proto.messaging import MAX_SEQ, FoundMessage
from polis.proto.problems import StaleCursor
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

handlers = Handlers()
_MAX_WORDS = 16
_SEARCHED = 1_000
"""Conversations that are searched at a time: those where something happened last."""
_MOST_PASSAGES = 1_000
"""Of which messages are asked by one statement."""
_ENOUGH_PASSAGES = 2_000
"""So many are gone through for one page, and what no message of them says is looked for by the next."""


class Position(Struct, frozen=True):
    """Where a search goes on, and which it is: behind a moment, and a message of that moment."""

    asked: str
    sent_at: datetime = LATEST
    conversation_id: UUID = UUID(int=2**128 - 1)
    seq: int = 0


class _Found(Struct, frozen=True):
    """A passage that holds the words, by when its last message was sent, and a message of it that says all of them."""

    last_at: datetime
    conversation_id: UUID
    last_seq: int
    seq: int | None
    sent_at: datetime | None


class _Hit(Struct, frozen=True):
    conversation_id: UUID
    seq: int
    sent_at: datetime


class _Looked(Struct, frozen=True):
    """What was found; `upto`: nothing was looked for before this moment, nor all of it at it."""

    hits: list[_Hit]
    upto: datetime | None = None


@handlers.handles(messaging.SearchMessages)
async def search_messages(request: messaging.SearchMessages, ctx: Context[Own]) -> Page[FoundMessage]:
    asked = _name(request)
    at = ctx.position(request.after, Position) or Position(asked)
    if at.asked != asked:
        raise Refused(StaleCursor())
    query = await _query(ctx.db, request.text)
    if request.conversation_id is not None:
        where = [(await access.see(ctx, request.conversation_id)).id]
    else:
        where = await _mine(ctx.db, ctx.actor.principal_id)
    if not query or not where:
        return Page(())
    looked = await _look(ctx, query, where, request, at)
    shown = looked.hits[: request.limit]
    found = await _read(ctx.db, shown)
    items = tuple(FoundMessage(row.message) for row in found)
    if len(found) < len(looked.hits):
        last = (found or shown)[-1]
        return Page(items, ctx.cursor(Position(asked, last.sent_at, last.conversation_id, last.seq)))
    return Page(items, None if looked.upto is None else ctx.cursor(Position(asked, looked.upto)))


def _name(request: messaging.SearchMessages) -> str:
    """What tells two searches apart, whatever page of them is asked for."""
    asked = (request.text, request.conversation_id, request.sender_id, request.since, request.until)
    return sha256(msgspec.json.encode(asked)).hexdigest()[:16]


async def _query(db: Tenant, text: str) -> str | None:
    """A tsquery: each word of the text, as messages are split into words, as the beginning of one; None without any."""
    query: str | None = await db.value(
        """
        select string_agg(format('%L:*', w), ' & ')
        from unnest((messaging.words_of($1, octet_length($1)))[:$2]) as w
        """,
        text,
        _MAX_WORDS,
    )
    return query


async def _mine(db: Tenant, principal_id: UUID) -> list[UUID]:
    return await db.rows(
        UUID,
        """
        select c.id from messaging.participants p
        cross join lateral (
            select d.id, d.last_at from messaging.conversations d
            where d.org_id = p.org_id and d.id = p.conversation_id offset 0
        ) c
        where p.org_id = $1 and p.principal_id = $2 and p.state = 'joined' order by c.last_at desc limit $3
        """,
        db.org_id,
        principal_id,
        _SEARCHED,
    )


async def _look(
    ctx: Context[Own], query: str, where: list[UUID], request: messaging.SearchMessages, at: Position
) -> _Looked:
    """One more than there is place for on the page, or all there are; or those of as many passages as are enough.

    Numbers alone, found across orgs: a policy would keep the planner from the index, as `@@` is not known not to leak.
    The statement names the org and the conversations, and what it finds is read under the policies like anything else.
    """
    wanted = most = request.limit + 1
    hits: list[_Hit] = []
    before = (LATEST, UUID(int=2**128 - 1), MAX_SEQ)
    passages = 0
    tx: Transaction
    async with ctx.across_orgs() as tx:
        while True:
            found = await tx.rows(
                _Found,
                FOUND,
                query,
                " | ".join(f"' {each}'" for each in where),
                ctx.actor.org_id,
                request.sender_id,
                request.since,
                request.until,
                at.sent_at,
                at.conversation_id,
                at.seq,
                *before,
                most,
            )
            hits += [
                _Hit(each.conversation_id, each.seq, each.sent_at)
                for each in found
                if each.seq is not None and each.sent_at is not None
            ]
            if len({(each.conversation_id, each.last_seq) for each in found}) < most:
                return _Looked(_newest(hits)[:wanted])
            before = (found[-1].last_at, found[-1].conversation_id, found[-1].last_seq)
            upto = found[-1].last_at
            sure = [hit for hit in hits if hit.sent_at > upto]
            passages += most
            # The next page goes on at this moment, so that it has to be another than where this one began.
            if len(sure) >= wanted or (passages >= _ENOUGH_PASSAGES and upto < at.sent_at):
                return _Looked(_newest(sure)[:wanted], upto)
            most = min(4 * most, _MOST_PASSAGES)


def _newest(hits: list[_Hit]) -> list[_Hit]:
    """In the order of pages."""
    hits.sort(key=lambda hit: hit.seq)
    hits.sort(key=lambda hit: (hit.sent_at, hit.conversation_id), reverse=True)
    return hits


FOUND = """
    select w.last_at, w.conversation_id, w.last_seq, m.seq, m.sent_at
    from (
        -- The conversation is a word of the passage. The key of passages would be as good for the org as long as there are few.
        select w.org_id, w.conversation_id, w.first_seq, w.seq as last_seq, w.last_at from messaging.passages w
        where w.search @@ ($1::text::tsquery && $2::text::tsquery) and w.org_id is not distinct from $3
            and ($5::timestamptz is null or w.last_at >= $5) and ($6::timestamptz is null or w.first_at < $6)
            and w.first_at <= $7 and (w.last_at, w.conversation_id, w.seq) < ($10, $11, $12)
        order by w.last_at desc, w.conversation_id desc, w.seq desc limit $13
    ) w
    left join lateral (
        select h.seq, h.sent_at from messaging.messages h
        where h.org_id = w.org_id and h.conversation_id = w.conversation_id and h.seq between w.first_seq and w.last_seq
            and h.deleted_at is null and ($4::uuid is null or h.sender_id = $4)
            and ($5::timestamptz is null or h.sent_at >= $5) and ($6::timestamptz is null or h.sent_at < $6)
            and (h.sent_at, h.conversation_id, -h.seq) < ($7, $8, -$9::bigint)
            and array_to_tsvector(messaging.words_of(h.text, octet_length(h.text))) @@ $1::text::tsquery offset 0
    ) m on true
    order by w.last_at desc, w.conversation_id desc, w.last_seq desc
"""
"""Of the newest passages before one that hold the words: the messages that say them, behind a position."""


async def _read(db: Tenant, hits: list[_Hit]) -> list[MessageRow]:
    """What was found, as many as fit."""
    return await db.rows(
        MessageRow,
        f"""
        select {COLUMNS} from (
            select m.*, h.n, sum(m.size) over (order by h.n) as total
            from unnest($2::uuid[], $3::bigint[]) with ordinality as h (conversation_id, seq, n)
            cross join lateral (
                select s.* from messaging.messages s
                where s.org_id = $1 and s.conversation_id = h.conversation_id and s.seq = h.seq offset 0
            ) m
        ) m where m.total - m.size < {PAGE_BYTES} order by m.n
        """,  # noqa: S608 - the parts are constants
        db.org_id,
        [hit.conversation_id for hit in hits],
        [hit.seq for hit in hits],
    )
