-- The parts of an org: projects, and applications and services of the org or of another part.

create table identity.units (
    org_id uuid not null references identity.orgs (org_id),
    id uuid not null,
    kind text collate "C" not null check (kind in ('project', 'application', 'service')),
    key text collate "C" not null check (key ~ '^[a-z][a-z0-9-]{0,62}$'),
    name text not null,
    -- Given once, to a unit that existed before: so there are no circles.
    parent_id uuid,
    created_by uuid not null,
    created_at timestamptz not null,
    primary key (org_id, id),
    constraint units_key unique (org_id, key),
    -- A unit with parts stays.
    constraint units_parent foreign key (org_id, parent_id) references identity.units (org_id, id)
);
create index units_parts on identity.units (org_id, parent_id);

call identity.tenant_table('units');
