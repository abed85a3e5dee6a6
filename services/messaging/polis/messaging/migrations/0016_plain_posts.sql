-- Writes the plain ones of many posts, in one statement: what a person says who takes part and may speak, under a client id that
-- is new, where no agents are in a talk. Of each that was written its number; null for what is to be judged by whoever sent it.
--
-- Conversations are locked in the order of all who lock several, by a statement of its own: the ones behind it see what
-- others have committed while it waited. An event tells the number of its post, which its sender could not know.
create function messaging.post_plainly(
    at timestamptz, orgs uuid[], conversations uuid[], senders uuid[], client_ids text[], texts text[], mores text[],
    sizes integer[], event_ids uuid[], subjects text[], events text[], traces text[]
) returns bigint[] language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    seqs bigint[];
begin
    perform from messaging.conversations c
    where (c.org_id, c.id) in (select w.o, w.i from unnest(orgs, conversations) as w (o, i))
    order by c.org_id, c.id for no key update;

    select array_agg(case when l.plain then l.head_seq + l.nth end order by l.n) into seqs
    from (
        select w.n, c.head_seq, coalesce(c.open and p.speaks, false) and m.seq is null as plain,
            count(*) filter (where c.open and p.speaks and m.seq is null) over (partition by w.o, w.i order by w.n) as nth
        from unnest(orgs, conversations, senders, client_ids) with ordinality as w (o, i, sender, client, n)
        left join lateral (
            select c.head_seq, c.archived_at is null and c.talk_last_id is null as open
            from messaging.conversations c where c.org_id = w.o and c.id = w.i limit 1
        ) c on true
        left join lateral (
            select p.kind = 'user' and p.state = 'joined' and p.role <> 'observer' and coalesce(p.muted_until <= at, true) as speaks
            from messaging.participants p
            where p.org_id = w.o and p.conversation_id = w.i and p.principal_id = w.sender limit 1
        ) p on true
        left join lateral (
            select m.seq from messaging.messages m
            where m.org_id = w.o and m.sender_id = w.sender and m.client_id = w.client
                and m.conversation_id is not distinct from w.i limit 1
        ) m on true
    ) l;

    with said as (
        insert into messaging.messages (org_id, conversation_id, seq, sender_id, sent_at, text, more, size, client_id)
        select w.o, w.i, w.seq, w.sender, at, w.text, w.more, w.size, w.client
        from unnest(orgs, conversations, seqs, senders, texts, mores, sizes, client_ids)
            as w (o, i, seq, sender, text, more, size, client)
        where w.seq is not null
    ), moved as (
        update messaging.conversations c set head_seq = h.head, last_at = at
        from (
            select w.o, w.i, max(w.seq) as head from unnest(orgs, conversations, seqs) as w (o, i, seq)
            where w.seq is not null group by w.o, w.i
        ) h
        where c.org_id = h.o and c.id = h.i
    )
    insert into messaging.outbox (id, org_id, subject, fact, entity, payload, trace)
    select w.id, w.o, w.subject, 'message_posted', w.i::text,
        convert_to(replace(w.event, '"seq":0', '"seq":' || w.seq), 'UTF8'), w.trace
    from unnest(event_ids, orgs, conversations, seqs, subjects, events, traces) with ordinality
        as w (id, o, i, seq, subject, event, trace, n)
    where w.seq is not null order by w.n;
    return seqs;
end $$;
