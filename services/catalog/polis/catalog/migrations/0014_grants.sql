-- What identity tells of grants on resources and files: a projection, kept by events.

create table catalog.grants (
    org_id uuid not null,
    id uuid not null,
    holder_kind text collate "C" not null,
    holder_id uuid,
    holder_role text,
    verb text collate "C" not null,
    resource text not null,
    expires_at timestamptz,
    primary key (org_id, id)
);
call catalog.tenant_table('grants', 'select, insert, delete');
