-- Keys that programs sign in with for a principal. Of their secrets there are hashes: the present one's and, while it
-- still holds, the one's before the last rotation.

create table identity.api_keys (
    org_id uuid not null references identity.orgs (org_id),
    id uuid not null,
    principal_id uuid not null,
    name text not null,
    hint text collate "C" not null,
    hash bytea not null check (octet_length(hash) = 32),
    previous_hash bytea check (octet_length(previous_hash) = 32),
    previous_until timestamptz,
    scopes text[] not null,
    unit_id uuid,
    -- The session id in tokens that the key is traded for; replaced when its owner may do less.
    sid uuid not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    rotated_at timestamptz,
    primary key (org_id, id),
    -- A unit with keys stays.
    constraint api_keys_unit foreign key (org_id, unit_id) references identity.units (org_id, id)
);
-- Whoever brings a key names its id alone.
create index api_keys_id on identity.api_keys (id);
create index api_keys_principal on identity.api_keys (org_id, principal_id, id);
create index api_keys_expiry on identity.api_keys (expires_at) where expires_at is not null;
create index api_keys_in_unit on identity.api_keys (org_id, unit_id);

-- What keys may do in this org at the most; null: whatever their owners may.
alter table identity.orgs add column key_scopes text[];

call identity.tenant_table('api_keys');
