-- The look at posts as one search of an index for each thing that is looked for, however many posts there are: a plan that is
-- made for all of them together suits neither one nor many, and is kept. Without `limit` the planner would join them after all.
create or replace function messaging.lock_for_posts(
    orgs uuid[], conversations uuid[], senders uuid[], client_ids text[], replies bigint[], threads bigint[]
) returns table (
    head_seq bigint, kind text, visibility text, archived boolean, role text, state text, muted_until timestamptz,
    repeated_seq bigint, repeated_at timestamptz, reply_found boolean, thread_found boolean, thread_root bigint
) language plpgsql as $$
#variable_conflict use_column
begin
    perform from messaging.conversations c
    where (c.org_id, c.id) in (select w.o, w.i from unnest(orgs, conversations) as w (o, i))
    order by c.org_id, c.id for no key update;
    return query
    select c.head_seq, c.kind, c.visibility, c.archived_at is not null, p.role, p.state, p.muted_until,
        m.seq, m.sent_at,
        r.seq is not null, t.seq is not null, coalesce(t.thread, t.seq)
    from unnest(orgs, conversations, senders, client_ids, replies, threads) with ordinality
        as w (o, i, sender, client, reply, root, n)
    left join lateral (
        select c.head_seq, c.kind, c.visibility, c.archived_at from messaging.conversations c
        where c.org_id = w.o and c.id = w.i limit 1
    ) c on true
    left join lateral (
        select p.role, p.state, p.muted_until from messaging.participants p
        where p.org_id = w.o and p.conversation_id = w.i and p.principal_id = w.sender limit 1
    ) p on true
    left join lateral (
        select m.seq, m.sent_at from messaging.messages m
        where m.org_id = w.o and m.conversation_id = w.i and m.sender_id = w.sender and m.client_id = w.client limit 1
    ) m on true
    left join lateral (
        select r.seq from messaging.messages r
        where r.org_id = w.o and r.conversation_id = w.i and r.seq = w.reply limit 1
    ) r on true
    left join lateral (
        select t.seq, t.thread from messaging.messages t
        where t.org_id = w.o and t.conversation_id = w.i and t.seq = w.root limit 1
    ) t on true
    order by w.n;
end $$;
