-- People: who they are, by what they prove it, and who of them administers the mesh.

create table identity.accounts (
    id uuid not null,
    -- Normalised: NFKC, lower case, trimmed. Two spellings of one address are one account.
    email text collate "C" not null check (email = lower(email) and length(email) between 3 and 254),
    name text not null,
    created_at timestamptz not null,
    suspended_at timestamptz,
    primary key (id),
    constraint accounts_email unique (email)
);
comment on table identity.accounts is 'global: a person signs in before an org is known, and may be in several';

-- Apart from `accounts`, so that no list of people can come to select a hash; other factors join as further tables.
create table identity.passwords (
    account_id uuid not null references identity.accounts (id) on delete cascade,
    hash text not null check (hash like '$argon2id$%'),
    changed_at timestamptz not null,
    primary key (account_id)
);
comment on table identity.passwords is 'global: a password belongs to a person, not to an org';

create table identity.administrators (
    account_id uuid not null references identity.accounts (id),
    since timestamptz not null,
    primary key (account_id)
);
comment on table identity.administrators is 'global: administrators run the mesh, not an org';

-- The one-time link that makes the first administrator: at most one row, and none once there is one.
create table identity.administrator_link (
    single boolean not null default true check (single),
    token_hash bytea not null check (octet_length(token_hash) = 32),
    created_at timestamptz not null,
    primary key (single)
);
comment on table identity.administrator_link is 'global: there is one first administrator of the mesh';

-- In an org's own transactions the application may look people up and add some. Whoever compares passwords or makes
-- administrators does so across orgs, under the other role.
grant select, insert on identity.accounts to app_identity;
grant update (name) on identity.accounts to app_identity;
grant insert on identity.passwords to app_identity;
grant select, insert, update, delete
    on identity.accounts, identity.passwords, identity.administrators, identity.administrator_link
    to identity_system;
