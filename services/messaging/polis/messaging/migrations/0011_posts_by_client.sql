-- Who posts under a client id is found by sender and client id. While a table has not been analysed, PostgreSQL takes the
-- messages of one conversation for one row, and their primary key for the cheapest way to a message of them: each post read
-- all of its conversation. `is not distinct from` keeps the conversation out of the choice of an index.
drop index messaging.messages_client;
create unique index messages_client on messaging.messages (org_id, sender_id, client_id, conversation_id)
    where client_id is not null;

create or replace function messaging.lock_for_posts(
    orgs uuid[], conversations uuid[], senders uuid[], client_ids text[], replies bigint[], threads bigint[]
) returns table (
    head_seq bigint, kind text, visibility text, archived boolean, role text, state text, muted_until timestamptz,
    repeated_seq bigint, repeated_at timestamptz, reply_found boolean, thread_found boolean, thread_root bigint,
    sender_kind text, talk_last_id uuid, talk_turns integer, talk_characters bigint, turn_seq bigint, turn_holder_id uuid,
    turn_until timestamptz, answered_by uuid
) language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    perform from messaging.conversations c
    where (c.org_id, c.id) in (select w.o, w.i from unnest(orgs, conversations) as w (o, i))
    order by c.org_id, c.id for no key update;
    return query
    select c.head_seq, c.kind, c.visibility, c.archived_at is not null, p.role, p.state, p.muted_until,
        m.seq, m.sent_at,
        r.seq is not null, t.seq is not null, coalesce(t.thread, t.seq),
        p.kind, c.talk_last_id, c.talk_turns, c.talk_characters, c.turn_seq, c.turn_holder_id, c.turn_until, a.holder_id
    from unnest(orgs, conversations, senders, client_ids, replies, threads) with ordinality
        as w (o, i, sender, client, reply, root, n)
    left join lateral (
        select c.head_seq, c.kind, c.visibility, c.archived_at, c.talk_last_id, c.talk_turns, c.talk_characters, c.turn_seq,
            c.turn_holder_id, c.turn_until
        from messaging.conversations c where c.org_id = w.o and c.id = w.i limit 1
    ) c on true
    left join lateral (
        select p.role, p.state, p.muted_until, p.kind from messaging.participants p
        where p.org_id = w.o and p.conversation_id = w.i and p.principal_id = w.sender limit 1
    ) p on true
    left join lateral (
        select m.seq, m.sent_at from messaging.messages m
        where m.org_id = w.o and m.sender_id = w.sender and m.client_id = w.client
            and m.conversation_id is not distinct from w.i limit 1
    ) m on true
    left join lateral (
        select r.seq from messaging.messages r
        where r.org_id = w.o and r.conversation_id = w.i and r.seq = w.reply limit 1
    ) r on true
    left join lateral (
        select t.seq, t.thread from messaging.messages t
        where t.org_id = w.o and t.conversation_id = w.i and t.seq = w.root limit 1
    ) t on true
    left join lateral (
        select a.holder_id from messaging.turns a
        where a.org_id = w.o and a.conversation_id = w.i and a.seq = w.reply and a.state = 'answered' limit 1
    ) a on true
    order by w.n;
end $$;
