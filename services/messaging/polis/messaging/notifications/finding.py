"""Finds whom new messages concern who want to be told of them. Nobody who posts waits for that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polis.db import Database

CONVERSATIONS = 50
"""So many are gone through by one statement, of each so many messages."""
MESSAGES = 500


async def look(database: Database, after_s: float) -> int:
    """Go through what was said since the last look, by whichever process; how many conversations that was in.

    How far each was gone through commits with what was found, so nothing is passed over, whoever dies when.
    """
    async with database.across_orgs() as tx:
        looked: int = await tx.value(_LOOK, CONVERSATIONS, MESSAGES, timedelta(seconds=after_s))
    return looked


_LOOK = r"""
    with active as materialized (
        select i.org_id, i.conversation_id, i.looked_seq as after, least(i.seq, i.looked_seq + $2) as upto
        from messaging.indexed i where i.seq > i.looked_seq
        order by i.org_id, i.conversation_id limit $1 for update skip locked
    ), looked as (
        update messaging.indexed i set looked_seq = a.upto from active a
        where i.org_id = a.org_id and i.conversation_id = a.conversation_id
        returning 1
    ), watched as materialized (
        -- Of a conversation in which nobody wants to be told anything no message is read.
        select a.org_id, a.conversation_id, a.after, a.upto from active a
        where (
            select true from messaging.participants p cross join lateral (
                select from messaging.notification_preferences o
                where o.org_id = p.org_id and o.principal_id = p.principal_id
                    and (o.mail or o.url is not null) and o.about <> '{}' offset 0
            ) f
            where p.org_id = a.org_id and p.conversation_id = a.conversation_id and p.state = 'joined' limit 1
        )
    ), said as materialized (
        select w.org_id, w.conversation_id, m.seq, m.sender_id, m.sent_at, m.more, m.reply_to, m.thread
        from watched w cross join lateral (
            select m.seq, m.sender_id, m.sent_at, m.more, m.reply_to, m.thread from messaging.messages m
            where m.org_id = w.org_id and m.conversation_id = w.conversation_id
                and m.seq > w.after and m.seq <= w.upto and m.deleted_at is null offset 0
        ) m
    ), lasts as (
        -- The last messages of the two who spoke last: for anybody, the last that is not their own is one of them.
        select g.org_id, g.conversation_id, g.sender_id, g.seq, g.at from (
            select l.org_id, l.conversation_id, l.sender_id, l.seq, l.at,
                row_number() over (partition by l.org_id, l.conversation_id order by l.seq desc) as n
            from (
                select s.org_id, s.conversation_id, s.sender_id, max(s.seq) as seq, max(s.sent_at) as at
                from said s group by s.org_id, s.conversation_id, s.sender_id
            ) l
        ) g where g.n <= 2
    ), meant as (
        select l.org_id, l.conversation_id, p.principal_id, l.seq, l.at, l.sender_id,
            case c.kind when 'direct' then array['direct', 'everything'] else array['everything'] end as kinds
        from lasts l
        join messaging.conversations c on c.org_id = l.org_id and c.id = l.conversation_id
        cross join lateral (
            -- Without `offset` all who take part in anything may be gone through.
            select o.org_id, o.principal_id from messaging.participants o
            where o.org_id = l.org_id and o.conversation_id = l.conversation_id offset 0
        ) p
        cross join lateral (
            select from messaging.notification_preferences o
            where o.org_id = p.org_id and o.principal_id = p.principal_id offset 0
        ) f
        union all
        select s.org_id, s.conversation_id, mention.id::uuid, s.seq, s.sent_at, s.sender_id, array['mentions']
        from said s cross join lateral (
            -- `jsonb` holds no zero character, and one message must not keep all others from being told.
            select case when strpos(s.more, '\u0000') = 0 then s.more
                else regexp_replace(s.more, '(?<!\\)((?:\\\\)*)\\u0000', '\1', 'g') end as more
        ) as j cross join lateral jsonb_array_elements_text(j.more::jsonb -> 'mentions') as mention (id)
        where s.more is not null
        union all
        select s.org_id, s.conversation_id, r.sender_id, s.seq, s.sent_at, s.sender_id, array['replies']
        from said s cross join lateral (
            select r.sender_id from messaging.messages r
            where r.org_id = s.org_id and r.conversation_id = s.conversation_id and r.seq in (s.reply_to, s.thread) offset 0
        ) r
        where s.reply_to is not null or s.thread is not null
    ), found as (
        select w.org_id, w.conversation_id, w.principal_id, p.read_seq, max(w.seq) as seq, max(w.at) as at
        from meant w
        cross join lateral (
            select o.state, o.read_seq from messaging.participants o
            where o.org_id = w.org_id and o.conversation_id = w.conversation_id and o.principal_id = w.principal_id offset 0
        ) p
        cross join lateral (
            select o.mail, o.url, o.about, o.not_of from messaging.notification_preferences o
            where o.org_id = w.org_id and o.principal_id = w.principal_id offset 0
        ) f
        where p.state = 'joined' and w.seq > p.read_seq and w.sender_id <> w.principal_id
            and (f.mail or f.url is not null) and f.about && w.kinds and not w.conversation_id = any(f.not_of)
        group by w.org_id, w.conversation_id, w.principal_id, p.read_seq
    ), compared as (
        -- One that was told, and then read, makes place for the next.
        select f.org_id, f.principal_id, f.conversation_id, f.seq, f.at, n.seq as told_of, n.due_at, n.told_at,
            n.seq is null or (n.told_at is not null and n.seq <= f.read_seq) as anew
        from found f left join messaging.notices n
            on n.org_id = f.org_id and n.principal_id = f.principal_id and n.conversation_id = f.conversation_id
    ), put as (
        insert into messaging.notices (org_id, principal_id, conversation_id, seq, last_seq, last_at, due_at, told_at)
        select c.org_id, c.principal_id, c.conversation_id, case when c.anew then c.seq else c.told_of end, c.seq, c.at,
            case when c.anew then c.at + $3 else c.due_at end, case when not c.anew then c.told_at end
        from compared c order by c.org_id, c.principal_id, c.conversation_id
        on conflict (org_id, principal_id, conversation_id) do update set seq = excluded.seq,
            last_seq = excluded.last_seq, last_at = excluded.last_at, due_at = excluded.due_at, told_at = excluded.told_at
    )
    select count(*) from looked
"""
