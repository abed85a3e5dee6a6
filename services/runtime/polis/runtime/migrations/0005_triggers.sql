-- Triggers as the catalog's active versions name them, what they have fired for, and which activations are to be read again.

alter table runtime.runs
    add column trigger_id uuid,
    add column occurrence text collate "C",
    add column chain smallint,
    add constraint runs_trigger check ((trigger_id is null) = (occurrence is null));
comment on column runtime.runs.occurrence is 'what its trigger fired for: a slot, the id of an event, of a post, of a run';
comment on column runtime.runs.chain is 'how many runs led to it by their ends; null: none';

-- An activation of a graph that names triggers, or of which that is not known yet. `stale`: it has changed since it was read;
-- whoever reads it clears the mark if it is still the one that was there before.
create table runtime.trigger_sources (
    org_id uuid not null,
    resource_id uuid not null,
    environment text collate "C" not null,
    number integer,
    stale uuid,
    due_at timestamptz,
    tries integer not null default 0,
    primary key (org_id, resource_id, environment),
    constraint trigger_sources_due check ((stale is null) = (due_at is null))
);
call runtime.tenant_table('trigger_sources');
create index trigger_sources_due on runtime.trigger_sources (due_at) where due_at is not null;

-- A trigger keeps its row, and so its id, from version to version. JSON is kept as bytea, as it is of runs.
create table runtime.triggers (
    org_id uuid not null,
    id uuid not null,
    resource_id uuid not null,
    environment text collate "C" not null,
    name text collate "C" not null,
    graph text collate "C" not null,
    number integer not null,
    kind text collate "C" not null check (kind in ('manual', 'schedule', 'webhook', 'event', 'run_end')),
    spec bytea not null,
    activated_by uuid not null,
    acts_as uuid,
    listens text[] collate "C",
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    paused_at timestamptz,
    paused_by uuid,
    due_at timestamptz,
    slot_at timestamptz,
    pending bytea,
    pending_id text collate "C",
    pending_seq bigint,
    pending_since timestamptz,
    token_hash bytea,
    old_token_hash bytea,
    old_token_until timestamptz,
    fired_at timestamptz,
    last_run_id uuid,
    last_occurrence text collate "C",
    fired bigint not null default 0,
    refused bigint not null default 0,
    skipped bigint not null default 0,
    error bytea,
    primary key (org_id, id),
    unique (org_id, resource_id, environment, name),
    constraint triggers_paused check ((paused_at is null) = (paused_by is null)),
    constraint triggers_due check (due_at is null or (ended_at is null and paused_at is null)),
    constraint triggers_pending check (num_nulls(pending, pending_id, pending_seq, pending_since) in (0, 4))
) with (fillfactor = 80);
comment on column runtime.triggers.slot_at is 'the slot that a schedule fires next; due_at is when somebody looks at it, later while somebody does';
comment on column runtime.triggers.pending is 'the event that fires when no other has followed it until due_at';
comment on column runtime.triggers.listens is 'the events that it may fire for, as <service>.<fact>';
call runtime.tenant_table('triggers');
-- What is due is found by one scan of this, across orgs.
create index triggers_due on runtime.triggers (due_at) where due_at is not null;
-- A post names a trigger and no org.
create index triggers_hooks on runtime.triggers (id) where kind = 'webhook';
create index triggers_listening on runtime.triggers (org_id, id) where listens is not null and ended_at is null;

-- What a trigger has fired for: the same occasion fires once, whoever sees it how often.
create table runtime.firings (
    org_id uuid not null,
    trigger_id uuid not null,
    occurrence text collate "C" not null,
    run_id uuid not null,
    fired_at timestamptz not null default now(),
    primary key (org_id, trigger_id, occurrence),
    foreign key (org_id, trigger_id) references runtime.triggers (org_id, id) on delete cascade
);
call runtime.tenant_table('firings', 'select, insert, delete');
create index firings_at on runtime.firings (fired_at);

-- What the consumer of a service's events is told to deliver for triggers.
create table runtime.trigger_feeds (
    source text collate "C" primary key,
    subjects text[] collate "C" not null,
    told_at timestamptz not null
);
comment on table runtime.trigger_feeds is 'global: subjects of all orgs, by the service that publishes them';
grant select, insert, update, delete on runtime.trigger_feeds to runtime_system;
