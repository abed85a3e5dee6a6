-- Triggers that fire for messages to their agents, and what they know of each conversation.

alter table runtime.triggers drop constraint triggers_kind_check;
alter table runtime.triggers add constraint triggers_kind_check
    check (kind in ('manual', 'schedule', 'webhook', 'event', 'run_end', 'message'));

create table runtime.trigger_talks (
    org_id uuid not null,
    trigger_id uuid not null,
    conversation_id uuid not null,
    heard_seq bigint not null default 0,
    heard_at timestamptz not null default clock_timestamp(),
    in_a_row integer not null default 0,
    held_seq bigint,
    held_since timestamptz,
    due_at timestamptz,
    primary key (org_id, trigger_id, conversation_id),
    foreign key (org_id, trigger_id) references runtime.triggers (org_id, id) on delete cascade,
    constraint trigger_talks_held check (num_nulls(held_seq, held_since, due_at) in (0, 3))
) with (fillfactor = 80);
comment on column runtime.trigger_talks.in_a_row is 'messages of agents that followed each other, up to heard_seq';
comment on column runtime.trigger_talks.held_seq is 'the message that is answered when no other has followed it until due_at';
call runtime.tenant_table('trigger_talks');
create index trigger_talks_due on runtime.trigger_talks (due_at) where due_at is not null;
create index trigger_talks_heard on runtime.trigger_talks (heard_at);
