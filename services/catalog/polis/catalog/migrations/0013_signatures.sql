-- Keys of publishers, and what they vouch for. A signature carries its public key: it is read where the key is not.

create table catalog.publisher_keys (
    org_id uuid not null,
    id uuid not null,
    principal_id uuid not null,
    name text not null,
    public_key bytea not null check (octet_length(public_key) = 32),
    created_at timestamptz not null,
    revoked_at timestamptz,
    primary key (org_id, id),
    constraint publisher_keys_public_key unique (org_id, public_key)
);
create index publisher_keys_newest on catalog.publisher_keys (org_id, created_at desc, id desc);

create table catalog.signatures (
    org_id uuid not null,
    resource_id uuid not null,
    visibility text not null default 'org',
    number integer not null,
    key_id uuid not null,
    principal_id uuid not null,
    public_key bytea not null,
    signature bytea not null check (octet_length(signature) = 64),
    signed_at timestamptz not null,
    revoked_at timestamptz,
    primary key (org_id, resource_id, number, key_id),
    constraint signatures_resource foreign key (org_id, resource_id, visibility)
        references catalog.resources (org_id, id, visibility) on update cascade on delete cascade,
    foreign key (org_id, key_id) references catalog.publisher_keys (org_id, id)
);
comment on table catalog.signatures is 'tenant, public_read: rows with visibility public are readable by every org';
create index signatures_key on catalog.signatures (org_id, key_id);

call catalog.tenant_table('publisher_keys', 'select, insert, update');
call catalog.tenant_table('signatures', 'select, insert, update');
create policy public_read on catalog.signatures for select to app_catalog using (visibility = 'public');
