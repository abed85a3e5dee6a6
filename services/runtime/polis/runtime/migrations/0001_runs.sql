-- Runs, what they execute, the outcomes of their effects, and their transitions.

-- A graph with its components as they were when a run started, by the SHA-256 of the content: a run is pinned to it and
-- needs nobody else to go on after a crash.
create table runtime.programs (
    org_id uuid not null,
    digest text collate "C" not null,
    content bytea not null,
    created_at timestamptz not null default now(),
    primary key (org_id, digest),
    constraint programs_content_is_what_the_digest_says check (digest = encode(sha256(content), 'hex'))
);
call runtime.tenant_table('programs', 'select, insert');

-- JSON is kept as bytea: jsonb and text refuse U+0000, which mails and errors may hold.
create table runtime.runs (
    org_id uuid not null,
    id uuid not null,
    graph text collate "C" not null,
    digest text collate "C" not null,
    program text collate "C" not null,
    state text collate "C" not null check (state in
        ('queued', 'running', 'waiting', 'paused', 'recovering', 'succeeded', 'failed', 'cancelled')),
    actor_id uuid not null,
    started_by uuid not null,
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    seq bigint not null check (seq > 0),
    input bytea not null,
    steps bytea not null,
    output bytea,
    error bytea,
    owner uuid,
    epoch integer not null,
    primary key (org_id, id),
    foreign key (org_id, program) references runtime.programs (org_id, digest),
    constraint runs_end check ((ended_at is not null) = (state in ('succeeded', 'failed', 'cancelled'))),
    constraint runs_output check ((output is not null) = (state = 'succeeded')),
    constraint runs_owner check (owner is null or ended_at is null)
) with (fillfactor = 85);
comment on column runtime.runs.owner is 'the process that executes it (instances.incarnation); null: nobody does';
comment on column runtime.runs.epoch is 'fencing token: counts its owners; a commit under an older one is refused';
comment on column runtime.runs.seq is 'the last transition; steps are the facts of all steps at that point';
call runtime.tenant_table('runs', 'select, insert, update');
-- Ids sort by time (UUIDv7): the primary key lists all runs of an org, these its runs of one state or graph.
create index runs_by_state on runtime.runs (org_id, state, id);
create index runs_by_graph on runtime.runs (org_id, graph, id);
-- Only open runs are looked for by who executes them or who they act as, and those are few.
create index runs_open_by_owner on runtime.runs (owner, id) where ended_at is null;
create index runs_open_by_actor on runtime.runs (org_id, actor_id) where ended_at is null;

-- The outcome of each effect, written before anything that depends on it happens. A recovered run replays it.
create table runtime.journal (
    org_id uuid not null,
    run_id uuid not null,
    node text collate "C" not null,
    item text collate "C" not null,
    body bytea not null,
    primary key (org_id, run_id, node, item),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade
);
call runtime.tenant_table('journal', 'select, insert');

-- What watchers of a run may have missed: each row is a JSON array of transitions, first_seq to last_seq without a gap.
create table runtime.transitions (
    org_id uuid not null,
    run_id uuid not null,
    last_seq bigint not null,
    first_seq bigint not null check (first_seq between 1 and last_seq),
    body bytea not null,
    primary key (org_id, run_id, last_seq),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade
);
call runtime.tenant_table('transitions', 'select, insert');

-- The processes that execute runs. One that was not seen for the length of a lease has lost its runs to the others.
create table runtime.instances (
    name text collate "C" primary key,
    incarnation uuid not null,
    seen_at timestamptz not null
);
comment on table runtime.instances is 'global: processes, which belong to no org';
create unique index instances_incarnation on runtime.instances (incarnation);
grant select, insert, update, delete on runtime.instances to runtime_system;
