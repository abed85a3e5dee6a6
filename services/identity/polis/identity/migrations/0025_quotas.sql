-- How much may be used of what, what was used of it per period, and what is set aside.

create table identity.quotas (
    org_id uuid not null references identity.orgs (org_id),
    id uuid not null,
    subject_kind text collate "C" not null check (subject_kind in ('org', 'unit', 'principal', 'key')),
    subject_id uuid check ((subject_id is null) = (subject_kind = 'org')),
    meter text collate "C" not null
        check (meter in ('requests', 'messages', 'runs', 'tokens', 'money', 'storage')),
    period text collate "C" not null check (period in ('minute', 'hour', 'day', 'month', 'total')),
    most bigint not null check (most >= 0),
    -- By who administers the mesh; the org's own may stand beside it, and the tightest counts.
    imposed boolean not null,
    set_by uuid not null,
    set_at timestamptz not null,
    primary key (org_id, id),
    constraint quotas_one unique nulls not distinct (org_id, subject_kind, subject_id, meter, period, imposed)
);

create table identity.usages (
    org_id uuid not null,
    quota_id uuid not null,
    -- The beginning of the period in UTC; 1970 where there is one period for ever.
    starts_at timestamptz not null,
    used bigint not null check (used >= 0),
    reserved bigint not null check (reserved >= 0),
    primary key (org_id, quota_id, starts_at),
    foreign key (org_id, quota_id) references identity.quotas (org_id, id) on delete cascade
);
-- The sweep forgets old periods of all orgs at once.
create index usages_age on identity.usages (starts_at) where starts_at > 'epoch'::timestamptz;

create table identity.reservations (
    org_id uuid not null,
    id uuid not null,
    amount bigint not null check (amount >= 0),
    -- The usages that it is set aside from, pairwise.
    quotas uuid[] not null,
    starts timestamptz[] not null,
    expires_at timestamptz not null,
    -- A settled one stays for a day, so that a repeated request is known.
    settled_at timestamptz,
    primary key (org_id, id)
);
create index reservations_due on identity.reservations (expires_at) where settled_at is null;
create index reservations_settled on identity.reservations (settled_at) where settled_at is not null;

call identity.tenant_table('quotas');
call identity.tenant_table('usages');
call identity.tenant_table('reservations');
