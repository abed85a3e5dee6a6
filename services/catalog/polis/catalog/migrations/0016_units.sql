-- What identity tells of the parts of an org and of which agents are in them: projections, kept by events. Rows come in any
-- order, a part before the one that it is in, so neither refers to the other.

create table catalog.units (
    org_id uuid not null,
    id uuid not null,
    parent_id uuid,
    primary key (org_id, id)
);
create table catalog.placements (
    org_id uuid not null,
    principal_id uuid not null,
    unit_id uuid not null,
    primary key (org_id, principal_id)
);
call catalog.tenant_table('units', 'select, insert, delete');
call catalog.tenant_table('placements');
