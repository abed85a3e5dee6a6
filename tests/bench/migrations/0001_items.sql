-- A tenant table as services have them, filled with rows of many orgs.

create table bench.items (
    org_id uuid not null,
    id uuid not null,
    title text not null,
    body text not null,
    created_at timestamptz not null,
    primary key (org_id, id)
);
create index items_list on bench.items (org_id, created_at desc, id);
call bench.tenant_table('items');
