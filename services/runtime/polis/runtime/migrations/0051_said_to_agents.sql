-- What was said to an agent and has not had its turn: of each conversation one message after the other is answered.
create table runtime.trigger_said (
    org_id uuid not null,
    trigger_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    event_seq bigint not null,
    depth integer not null,
    heard_at timestamptz not null default clock_timestamp(),
    primary key (org_id, trigger_id, conversation_id, seq),
    foreign key (org_id, trigger_id) references runtime.triggers (org_id, id) on delete cascade
);
comment on column runtime.trigger_said.event_seq is 'the place of its event in the stream; 0: whatever was told before it has been heard';
call runtime.tenant_table('trigger_said', 'select, insert, delete');

alter table runtime.trigger_talks add column run_id uuid, add column turn_at timestamptz;
comment on column runtime.trigger_talks.run_id is 'the run that answers there, or did last';
comment on column runtime.trigger_talks.turn_at is 'when to look whether the next message has its turn';
create index trigger_talks_turn on runtime.trigger_talks (turn_at) where turn_at is not null;
