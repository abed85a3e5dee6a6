-- Messages, what they said before, and what is not sent yet.

-- No foreign key to the conversation: whoever writes a message holds its row, and a check for each message would cost as much
-- as the message.
create table messaging.messages (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    sender_id uuid not null,
    sent_at timestamptz not null,
    text text not null,
    more text,
    size integer not null,
    reply_to bigint,
    thread bigint,
    client_id text collate "C",
    revision integer not null default 1,
    edited_at timestamptz,
    deleted_at timestamptz,
    deleted_by uuid,
    pinned_at timestamptz,
    pinned_by uuid,
    reactions text,
    primary key (org_id, conversation_id, seq)
) with (fillfactor = 95);
comment on column messaging.messages.more is 'parts, mentions and attributes, as JSON';
comment on column messaging.messages.size is 'bytes that it takes on the wire, about';
call messaging.tenant_table('messages', 'select, insert, update');
-- One message for what a sender calls by one name.
create unique index messages_client on messaging.messages (org_id, conversation_id, sender_id, client_id) where client_id is not null;
create index messages_thread on messaging.messages (org_id, conversation_id, thread, seq) where thread is not null;
create index messages_pinned on messaging.messages (org_id, conversation_id, seq) where pinned_at is not null;

create table messaging.revisions (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    revision integer not null,
    text text not null,
    parts text,
    until timestamptz not null,
    primary key (org_id, conversation_id, seq, revision)
);
call messaging.tenant_table('revisions');

create table messaging.drafts (
    org_id uuid not null,
    principal_id uuid not null,
    conversation_id uuid not null,
    text text not null,
    reply_to bigint,
    updated_at timestamptz not null,
    primary key (org_id, principal_id, conversation_id),
    foreign key (org_id, conversation_id) references messaging.conversations (org_id, id)
);
call messaging.tenant_table('drafts');

-- Locks the conversations of posts, always in the same order, and says of each post what stands in its way. The look is a
-- statement of its own: it sees what others have committed while this one waited for the locks.
create function messaging.lock_for_posts(
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
    left join messaging.conversations c on c.org_id = w.o and c.id = w.i
    left join messaging.participants p on p.org_id = w.o and p.conversation_id = w.i and p.principal_id = w.sender
    left join messaging.messages m
        on m.org_id = w.o and m.conversation_id = w.i and m.sender_id = w.sender and m.client_id = w.client
    left join messaging.messages r on r.org_id = w.o and r.conversation_id = w.i and r.seq = w.reply
    left join messaging.messages t on t.org_id = w.o and t.conversation_id = w.i and t.seq = w.root
    order by w.n;
end $$;
