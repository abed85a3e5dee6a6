-- Sessions, the refresh tokens of each (a family), and the session ids whose access tokens are refused.

create table identity.sessions (
    id uuid not null,
    account_id uuid not null references identity.accounts (id) on delete cascade,
    -- Where its access tokens point. No tenant key: a session spans the orgs of its account.
    current_org uuid not null,
    -- The session id in its access tokens; replaced when what they say of the roles is no longer true.
    sid uuid not null,
    created_at timestamptz not null,
    renewed_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (id),
    constraint sessions_sid unique (sid)
);
comment on table identity.sessions is 'global: a session is an account''s and spans its orgs';
create index sessions_account on identity.sessions (account_id);
create index sessions_expiry on identity.sessions (expires_at);

-- Used tokens stay until they expire: a used one that comes again tells that somebody copied it.
create table identity.refresh_tokens (
    hash bytea not null check (octet_length(hash) = 32),
    session_id uuid not null references identity.sessions (id) on delete cascade,
    expires_at timestamptz not null,
    used_at timestamptz,
    primary key (hash)
);
comment on table identity.refresh_tokens is 'global: a session spans the orgs of its account';
-- One token of a family is unused at any time, whatever the code does.
create unique index refresh_tokens_unused on identity.refresh_tokens (session_id) where used_at is null;
create index refresh_tokens_session on identity.refresh_tokens (session_id);
create index refresh_tokens_expiry on identity.refresh_tokens (expires_at);

create table identity.revocations (
    sid uuid not null,
    until timestamptz not null,
    primary key (sid)
);
comment on table identity.revocations is 'global: every service of the mesh reads all of them';
create index revocations_until on identity.revocations (until);

-- In an org's own transactions sessions begin (sign-up) and are told that roles changed; no refresh token is read there.
grant select, insert on identity.sessions to app_identity;
grant update (sid) on identity.sessions to app_identity;
grant insert on identity.refresh_tokens to app_identity;
grant select, insert, update on identity.revocations to app_identity;
grant select, insert, update, delete
    on identity.sessions, identity.refresh_tokens, identity.revocations
    to identity_system;
