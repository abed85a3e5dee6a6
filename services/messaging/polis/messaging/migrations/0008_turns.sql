-- Whose turn it is to answer, and how long agents have talked with each other.

-- What posting has to know stands in the row that it locks anyway. None of it is in an index.
alter table messaging.conversations
    add column talk_last_id uuid,
    add column talk_turns integer not null default 0,
    add column talk_characters bigint not null default 0,
    add column turn_seq bigint,
    add column turn_holder_id uuid,
    add column turn_until timestamptz;
comment on column messaging.conversations.talk_last_id is 'the agent who spoke last, since a person did';
comment on column messaging.conversations.talk_turns is 'how often one agent spoke after another, since a person did';
comment on column messaging.conversations.talk_characters is 'of what agents said in these turns';
comment on column messaging.conversations.turn_seq is 'the message that is being answered, until turn_until';

create table messaging.turns (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    state text collate "C" not null check (state in ('open', 'held', 'answered', 'lapsed')),
    opened_at timestamptz not null,
    due_at timestamptz,
    holder_id uuid,
    answer_seq bigint,
    primary key (org_id, conversation_id, seq),
    constraint turns_due check ((due_at is not null) = (state in ('open', 'held')))
) with (fillfactor = 80);
call messaging.tenant_table('turns', 'select, insert, update');
create index turns_due on messaging.turns (due_at) where due_at is not null;

create table messaging.turn_claims (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    principal_id uuid not null,
    claims boolean not null,
    confidence double precision not null,
    justification text not null,
    at timestamptz not null,
    expired boolean not null default false,
    primary key (org_id, conversation_id, seq, principal_id)
);
call messaging.tenant_table('turn_claims', 'select, insert, update');

drop function messaging.lock_for_posts(uuid[], uuid[], uuid[], text[], bigint[], bigint[]);
-- As before, with what the sender is, what agents have said, and who has answered what a post replies to.
create function messaging.lock_for_posts(
    orgs uuid[], conversations uuid[], senders uuid[], client_ids text[], replies bigint[], threads bigint[]
) returns table (
    head_seq bigint, kind text, visibility text, archived boolean, role text, state text, muted_until timestamptz,
    repeated_seq bigint, repeated_at timestamptz, reply_found boolean, thread_found boolean, thread_root bigint,
    sender_kind text, talk_last_id uuid, talk_turns integer, talk_characters bigint, turn_seq bigint, turn_holder_id uuid,
    turn_until timestamptz, answered_by uuid
) language plpgsql as $$
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
    left join lateral (
        select a.holder_id from messaging.turns a
        where a.org_id = w.o and a.conversation_id = w.i and a.seq = w.reply and a.state = 'answered' limit 1
    ) a on true
    order by w.n;
end $$;
