-- Conversations, who takes part in them, and what happened in them besides messages.

-- `head_seq` numbers everything that happens in a conversation. Whatever takes the next number holds this row until it
-- commits, so numbers have no gap and come into sight in their order.
create table messaging.conversations (
    org_id uuid not null,
    id uuid not null,
    kind text collate "C" not null check (kind in ('direct', 'group', 'channel', 'agents')),
    name text not null,
    topic text not null,
    visibility text collate "C" not null check (visibility in ('private', 'org')),
    data_class text collate "C" not null,
    first_id uuid,
    second_id uuid,
    created_by uuid not null,
    created_at timestamptz not null,
    archived_at timestamptz,
    retention_days integer check (retention_days >= 0),
    head_seq bigint not null,
    last_at timestamptz not null,
    kept_from bigint not null default 1,
    primary key (org_id, id),
    constraint conversations_pair check ((kind = 'direct') = (first_id is not null and second_id is not null and first_id < second_id))
) with (fillfactor = 70);
comment on column messaging.conversations.kept_from is 'the first entry that retention has left';
call messaging.tenant_table('conversations', 'select, insert, update');
-- One conversation for each pair.
create unique index conversations_pairs on messaging.conversations (org_id, first_id, second_id) where first_id is not null;
create index conversations_channels on messaging.conversations (org_id, (lower(name) collate "C"), id)
    where kind = 'channel' and visibility = 'org' and archived_at is null;

create table messaging.participants (
    org_id uuid not null,
    conversation_id uuid not null,
    principal_id uuid not null,
    kind text collate "C" not null,
    role text collate "C" not null check (role in ('owner', 'admin', 'member', 'observer')),
    state text collate "C" not null check (state in ('joined', 'invited', 'left', 'removed', 'banned')),
    since timestamptz not null,
    by_id uuid not null,
    muted_until timestamptz,
    read_seq bigint not null default 0,
    delivered_seq bigint not null default 0,
    primary key (org_id, conversation_id, principal_id),
    foreign key (org_id, conversation_id) references messaging.conversations (org_id, id)
) with (fillfactor = 80);
call messaging.tenant_table('participants', 'select, insert, update');
-- Whatever somebody takes part in.
create index participants_of on messaging.participants (org_id, principal_id, conversation_id) where state in ('joined', 'invited');

-- What happened besides messages being posted: those are entries by themselves, with their number. What is said of a message
-- here is which one; what it says stands in its row, so that nothing that was deleted is left anywhere.
create table messaging.entries (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    at timestamptz not null,
    kind text collate "C" not null,
    actor_id uuid not null,
    message_seq bigint,
    body text,
    primary key (org_id, conversation_id, seq)
);
comment on column messaging.entries.body is 'the participant or the conversation as it was since then, as JSON';
call messaging.tenant_table('entries', 'select, insert');
