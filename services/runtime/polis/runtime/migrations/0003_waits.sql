-- What runs wait for outside of every process, and runs that rest meanwhile: nobody executes them.

alter table runtime.runs
    add column wake_at timestamptz not null default '-infinity',
    add column completions integer not null default 0,
    add column lost integer not null default 0,
    add column paused_at timestamptz;
comment on column runtime.runs.wake_at is 'of one that nobody executes: from when on it is to be executed';
comment on column runtime.runs.completions is 'outcomes that were brought from outside: who parks it must have heard of all';
comment on column runtime.runs.lost is 'processes that left it behind since it last came to rest';

-- Whoever looks for work finds what is due and what the dead have left, however many runs rest.
drop index runtime.runs_open_by_owner;
create index runs_open_by_owner on runtime.runs (owner, id) where ended_at is null and owner is not null;
create index runs_to_wake on runtime.runs (wake_at, id) where ended_at is null and owner is null;

create table runtime.waits (
    org_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    node text collate "C" not null,
    item text collate "C" not null,
    kind text collate "C" not null,
    name text collate "C" not null,
    due_at timestamptz,
    late bytea not null,
    data bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    primary key (org_id, run_id, node, item),
    constraint waits_id unique (org_id, id),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade
);
comment on column runtime.waits.late is 'the outcome when it is due and none was brought, as the journal takes it';
comment on column runtime.waits.data is 'JSON, for whoever brings the outcome';
call runtime.tenant_table('waits', 'select, insert, update');
create index waits_due on runtime.waits (due_at) where closed_at is null and due_at is not null;
create index waits_open_by_name on runtime.waits (org_id, kind, name) where closed_at is null;
