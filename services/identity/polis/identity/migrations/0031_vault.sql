-- Secrets: what is known of them, and their values, each encrypted with a key of its own that lies here encrypted too
-- (AES-256-GCM). What opens those keys is not in the database. See polis.identity.vault.cipher.

create table identity.secrets (
    org_id uuid not null references identity.orgs (org_id),
    id uuid not null,
    name text collate "C" not null check (name ~ '^[a-z][a-z0-9._-]{0,62}$'),
    protection text collate "C" not null check (protection in ('org', 'personal', 'sealed')),
    -- Whose it is; the org's own has none.
    owner_id uuid check ((owner_id is null) = (protection = 'org')),
    used_by text[] not null,
    version integer not null check (version > 0),
    created_by uuid not null,
    created_at timestamptz not null,
    rotated_at timestamptz,
    -- Wrong passphrases since the last right one, and until when none is tried.
    failures integer not null default 0,
    locked_until timestamptz,
    primary key (org_id, id),
    constraint secrets_name unique nulls not distinct (org_id, owner_id, name)
);

create table identity.secret_values (
    org_id uuid not null,
    secret_id uuid not null,
    version integer not null,
    sealed bytea not null,
    -- The key of `sealed`, under this root key.
    data_key bytea not null,
    root_key text collate "C" not null,
    -- Of a sealed secret: with it and a passphrase the owner's key is derived, under which the data key lies as well.
    salt bytea check (octet_length(salt) = 16),
    created_at timestamptz not null,
    primary key (org_id, secret_id, version),
    foreign key (org_id, secret_id) references identity.secrets (org_id, id) on delete cascade
);
-- Rewrapping looks for those under another root key.
create index secret_values_root_key on identity.secret_values (root_key);

-- The data keys of sealed secrets that are open.
create table identity.secret_openings (
    org_id uuid not null,
    secret_id uuid not null,
    version integer not null,
    data_key bytea not null,
    root_key text collate "C" not null,
    until timestamptz not null,
    primary key (org_id, secret_id),
    foreign key (org_id, secret_id, version)
        references identity.secret_values (org_id, secret_id, version) on delete cascade
);
create index secret_openings_until on identity.secret_openings (until);
create index secret_openings_root_key on identity.secret_openings (root_key);

call identity.tenant_table('secrets');
call identity.tenant_table('secret_values');
call identity.tenant_table('secret_openings');
