-- The keys that sign access tokens: the private half sealed (AES-256-GCM) under a key that is not in the database.

create table identity.signing_keys (
    kid text collate "C" not null,
    sealed bytea not null,
    public_key bytea not null check (octet_length(public_key) = 32),
    created_at timestamptz not null,
    -- Published at once, used from here on: by then every replica has it in its answers.
    signs_from timestamptz not null,
    -- When the last token that it signed has expired; null while it has no successor.
    ends_at timestamptz,
    primary key (kid)
);
comment on table identity.signing_keys is 'global: one issuer signs for every org';

grant select, insert, update, delete on identity.signing_keys to identity_system;
