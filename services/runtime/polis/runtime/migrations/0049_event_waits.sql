-- Waits for events: by what they are found, and what an event has to be. What was told before they were followed is looked at
-- once (`look_at`). The last event that a step of a run has taken stays, so that its next wait takes a later one.
create table runtime.event_waits (
    org_id uuid not null,
    run_id uuid not null,
    node text collate "C" not null,
    event text collate "C" not null,
    entity text collate "C" not null,
    id uuid not null,
    condition text not null,
    item bytea not null,
    since timestamptz not null,
    after_seq bigint not null,
    taken_seq bigint,
    look_at timestamptz default clock_timestamp(),
    open boolean not null default true,
    primary key (org_id, run_id, node, event, entity, id),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade,
    constraint event_waits_open check (open or look_at is null)
);
comment on column runtime.event_waits.id is 'of the wait';
comment on column runtime.event_waits.entity is 'what the event is about; empty: anything';
comment on column runtime.event_waits.item is 'the message as its condition sees it';
comment on column runtime.event_waits.after_seq is 'the place in the stream of what the step has taken before';
call runtime.tenant_table('event_waits');
create index event_waits_heard on runtime.event_waits (org_id, event, entity, id) where open;
create index event_waits_to_look on runtime.event_waits (look_at) where look_at is not null;
