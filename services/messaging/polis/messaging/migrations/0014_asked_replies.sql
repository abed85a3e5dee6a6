-- Replies to asks that are being answered: written with the message, gone when it is settled. What a process that died has left
-- is found by when it is due.
create table messaging.asked_replies (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    ask_id uuid not null,
    asker_id uuid not null,
    replied_at timestamptz not null default clock_timestamp(),
    due_at timestamptz not null,
    primary key (org_id, conversation_id, seq)
);
call messaging.tenant_table('asked_replies', 'select, insert, update, delete');
create index asked_replies_due on messaging.asked_replies (due_at);
