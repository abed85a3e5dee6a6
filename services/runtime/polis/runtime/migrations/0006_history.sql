-- What runs are found by, where they come from, how long they are kept, and what is kept of their attempts.

alter table runtime.runs
    add column tags text[],
    add column if not exists parent_id uuid,
    add column origin_id uuid,
    add column origin_kind text collate "C" check (origin_kind in ('rerun', 'fork', 'retry')),
    add column origin_step text collate "C",
    add column slow_at timestamptz,
    add constraint runs_origin check ((origin_id is null) = (origin_kind is null));
comment on column runtime.runs.tags is 'null: none, as most runs have';
comment on column runtime.runs.slow_at is 'when it was told that the run takes longer than it should; null: it was not';

-- Pages of runs are read backwards through one of these (or 0001''s by state and by graph); what else is asked for is
-- looked at row by row on the way.
create index runs_by_actor on runtime.runs (org_id, actor_id, id);
-- Who starts runs that act as itself finds them by the actor: only those that act as another need an index of their own.
create index runs_by_starter on runtime.runs (org_id, started_by, id) where started_by <> actor_id;
create index if not exists runs_by_parent on runtime.runs (org_id, parent_id, id) where parent_id is not null;
create index runs_by_origin on runtime.runs (org_id, origin_id, id) where origin_id is not null;
-- The question after every alarm is which runs of one graph failed; among a million that succeeded they are few.
create index runs_failed_by_graph on runtime.runs (org_id, graph, id) where state = 'failed';

-- Most runs have no tag, and an array in an index is in no order: tags are found by rows of their own.
create table runtime.run_tags (
    org_id uuid not null,
    tag text collate "C" not null,
    run_id uuid not null,
    primary key (org_id, tag, run_id),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade
);
call runtime.tenant_table('run_tags', 'select, insert');
-- For the cascade; a hash, so that no page of a tag is looked for among the tags of all runs.
create index run_tags_by_run on runtime.run_tags using hash (run_id);

-- A foreign key to programs locks one row in every admission, and to delete a program it would look through all runs:
-- a program goes when no run has it and nobody has relied on it for longer than a process remembers that it is stored.
alter table runtime.runs drop constraint runs_org_id_program_fkey;
alter table runtime.programs add column used_at timestamptz not null default now();
grant update on runtime.programs to app_runtime, runtime_system;
-- Runs are deleted by who may, and by age and size, in every table that hangs on them.
grant delete on runtime.runs to app_runtime;

-- How long an org keeps runs that have ended; without a row, as the settings say.
create table runtime.retention (
    org_id uuid primary key,
    days integer check (days > 0),
    bytes bigint check (bytes > 0)
);
call runtime.tenant_table('retention');

-- Every attempt of a run's steps, in chunks: one for each process that had the run, written with its last record of it.
create table runtime.attempts (
    org_id uuid not null,
    run_id uuid not null,
    epoch integer not null,
    body bytea not null,
    primary key (org_id, run_id, epoch),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade
);
call runtime.tenant_table('attempts', 'select, insert, update');
