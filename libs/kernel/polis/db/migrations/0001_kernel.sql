-- What every service's schema has. `:service` stands for its name.

create table :service.outbox (
    n bigint generated always as identity primary key,
    id uuid not null unique,
    org_id uuid not null,
    subject text not null,
    payload bytea not null,
    headers jsonb not null,
    created_at timestamptz not null default now(),
    published_at timestamptz,
    stream_seq bigint
);
-- The relay asks for the unpublished ones in order, again and again; published rows are not in its way.
create index outbox_pending on :service.outbox (n) where stream_seq is null;
create index outbox_seq on :service.outbox (stream_seq) where stream_seq is not null;
create index outbox_published on :service.outbox (published_at) where published_at is not null;

create table :service.relay (
    stream text primary key,
    epoch integer not null,
    last_seq bigint not null
);
comment on table :service.relay is 'global: one position for all orgs of the service';

create table :service.inbox (
    consumer text not null,
    event_id uuid not null,
    at timestamptz not null default now(),
    primary key (consumer, event_id)
);
comment on table :service.inbox is 'global: ids of events, which tell nothing of an org';
create index inbox_at on :service.inbox using brin (at);

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
create index idempotency_created on :service.idempotency using brin (created_at);

alter table :service.outbox enable row level security;
alter table :service.outbox force row level security;
create policy tenant on :service.outbox to app_:service
    using (org_id = any ((select nullif(current_setting('polis.orgs', true), '')::uuid[])::uuid[]))
    with check (org_id = any ((select nullif(current_setting('polis.orgs', true), '')::uuid[])::uuid[]));
create policy across_orgs on :service.outbox to :service_system using (true) with check (true);

alter table :service.idempotency enable row level security;
alter table :service.idempotency force row level security;
create policy tenant on :service.idempotency to app_:service
    using (org_id = any ((select nullif(current_setting('polis.orgs', true), '')::uuid[])::uuid[]))
    with check (org_id = any ((select nullif(current_setting('polis.orgs', true), '')::uuid[])::uuid[]));
create policy across_orgs on :service.idempotency to :service_system using (true) with check (true);

grant select, insert on :service.outbox to app_:service;
grant select, insert, update, delete on :service.outbox to :service_system;
grant select, insert on :service.idempotency to app_:service;
grant select, delete on :service.idempotency to :service_system;
grant select, insert on :service.inbox to app_:service;
grant select, delete on :service.inbox to :service_system;
grant select, insert, update on :service.relay to :service_system;
