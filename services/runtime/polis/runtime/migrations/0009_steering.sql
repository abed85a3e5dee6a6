-- Signals to runs, what runs tell, how long they were paused, and the ends of child runs that their parents wait for.

-- Signals that no step waited for, in the order in which they came; a step that waits takes the oldest of its name.
create table runtime.signals (
    org_id uuid not null,
    run_id uuid not null,
    n bigint generated always as identity,
    name text collate "C" not null,
    payload bytea not null,
    sent_at timestamptz not null default clock_timestamp(),
    primary key (org_id, run_id, n),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade
);
call runtime.tenant_table('signals', 'select, insert, delete');

-- What each run has told last, by name.
create table runtime.statuses (
    org_id uuid not null,
    run_id uuid not null,
    name text collate "C" not null,
    value bytea not null,
    told_at timestamptz not null,
    primary key (org_id, run_id, name),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade
);
call runtime.tenant_table('statuses', 'select, insert, update');

alter table runtime.runs
    add column paused_s float8 not null default 0,
    add column depth smallint not null default 0,
    add column untold boolean not null default false;
comment on column runtime.runs.paused_s is 'how long it was paused before: its time does not run meanwhile';
comment on column runtime.runs.depth is 'parents above it';
comment on column runtime.runs.untold is 'it has ended, and the run that started it has not been told yet';
create index runs_untold on runtime.runs (id) where untold;
