-- Which orgs have a quota for storage, a projection of what identity tells; and for what a quota has set something aside.

create table catalog.quotas (
    org_id uuid not null,
    id uuid not null,
    primary key (org_id, id)
);
call catalog.tenant_table('quotas', 'select, insert, delete');

alter table catalog.uploads
    add column metered boolean not null default false,
    add column key_id uuid;
comment on column catalog.uploads.metered is 'a quota has set its bytes aside, under its id; key_id: by which API key';

-- Bytes that were there before the quota are not counted, so they are not given back either.
alter table catalog.blobs
    add column counted_for uuid,
    add column counted_key uuid;
comment on column catalog.blobs.counted_for is 'whose use of quotas its bytes are; null: nobody''s';
