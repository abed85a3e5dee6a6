-- What every service's schema has. `:service` stands for its name.

-- States a table's tenancy in one line of a migration: `call catalog.tenant_table('resources', 'select, insert')`.
-- verbs: what the app role may do with rows of its orgs. The system role, which sees all orgs, may do as much, and delete.
--
-- The policy stands in `coalesce` so that the planner takes it for a filter and nothing else: as an index condition beside
-- the query's own `org_id = $1` it makes pages look twenty times smaller than they are, and plans for them worse.
create procedure :service.tenant_table(name text, verbs text default 'select, insert, update, delete')
language plpgsql as $$
declare
    of_its_orgs constant text :=
        'coalesce(org_id = any ((select nullif(current_setting(''polis.orgs'', true), '''')::uuid[])::uuid[]), false)';
begin
    execute format('alter table :service.%I enable row level security', name);
    execute format('alter table :service.%I force row level security', name);
    execute format('create policy tenant on :service.%I to app_:service using (%s) with check (%s)',
        name, of_its_orgs, of_its_orgs);
    execute format('create policy across_orgs on :service.%I to :service_system using (true) with check (true)', name);
    execute format('grant %s on :service.%I to app_:service, :service_system', verbs, name);
    execute format('grant delete on :service.%I to :service_system', name);
end
$$;
revoke execute on procedure :service.tenant_table(text, text) from public;

create table :service.outbox (
    n bigint generated always as identity primary key,
    id uuid not null,
    org_id uuid not null,
    subject text not null,
    fact text not null,
    entity text not null,
    payload bytea not null,
    trace text,
    created_at timestamptz not null default now(),
    published_at timestamptz,
    stream_seq bigint
);
-- The relay asks for the unpublished ones in order, again and again; published rows are not in its way.
create index outbox_pending on :service.outbox (n) where stream_seq is null;
-- By this the stream is compared, and the oldest published ones are found.
create index outbox_seq on :service.outbox (stream_seq) where stream_seq is not null;
call :service.tenant_table('outbox', 'select, insert');
grant update on :service.outbox to :service_system;

create table :service.relay (
    stream text primary key,
    epoch integer not null,
    last_seq bigint not null
);
comment on table :service.relay is 'global: one position for all orgs of the service';
grant select, insert, update on :service.relay to :service_system;

create table :service.inbox (
    consumer text not null,
    event_id uuid not null,
    at timestamptz not null default now(),
    primary key (consumer, event_id)
);
comment on table :service.inbox is 'global: ids of events, which tell nothing of an org';
create index inbox_at on :service.inbox (at);
grant select, insert on :service.inbox to app_:service, :service_system;
grant delete on :service.inbox to :service_system;

create table :service.idempotency (
    org_id uuid not null,
    principal_id uuid not null,
    operation text not null,
    key_hash bytea not null,
    fingerprint bytea not null,
    answer bytea not null,
    created_at timestamptz not null default now(),
    primary key (org_id, principal_id, operation, key_hash)
);
create index idempotency_created on :service.idempotency (created_at);
call :service.tenant_table('idempotency', 'select, insert');
