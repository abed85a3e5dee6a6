-- Jobs that were offered to workers outside: a wait of kind `job`, and who does it by now.

create table runtime.jobs (
    org_id uuid not null,
    id uuid not null,
    worker_id uuid not null,
    token bigint not null check (token > 0),
    attempts integer not null check (attempts > 0),
    free_at timestamptz not null,
    due_at timestamptz,
    primary key (org_id, id),
    foreign key (org_id, id) references runtime.waits (org_id, id) on delete cascade
);
comment on column runtime.jobs.token is 'fencing token: counts how often it was claimed; an older one brings nothing';
comment on column runtime.jobs.free_at is 'from when on it is offered again';
comment on column runtime.jobs.due_at is 'until when it may take in all, whoever does it';
call runtime.tenant_table('jobs', 'select, insert, update');
-- Workers ask for what waits under a component's key, the oldest first.
create index waits_jobs on runtime.waits (org_id, name, created_at) where kind = 'job' and closed_at is null;
