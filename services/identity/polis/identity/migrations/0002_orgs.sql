-- Tenants, who is in them in which role, and who is invited.

create table identity.orgs (
    org_id uuid not null,
    name text not null,
    created_at timestamptz not null,
    primary key (org_id)
);

create table identity.memberships (
    org_id uuid not null references identity.orgs (org_id),
    account_id uuid not null references identity.accounts (id),
    role text collate "C" not null check (role in ('owner', 'admin', 'member', 'viewer')),
    -- The session id in tokens by which services act for this member here; replaced when the role changes.
    sid uuid not null,
    since timestamptz not null,
    primary key (org_id, account_id)
);
-- A session begins with the orgs of an account, whichever they are.
create index memberships_account on identity.memberships (account_id, since, org_id);
create index memberships_list on identity.memberships (org_id, since, account_id);

-- A row is an open invitation; accepting deletes it, and inviting the same address again replaces it.
create table identity.invitations (
    org_id uuid not null references identity.orgs (org_id),
    id uuid not null,
    email text collate "C" not null check (email = lower(email)),
    role text collate "C" not null check (role in ('owner', 'admin', 'member', 'viewer')),
    token_hash bytea not null check (octet_length(token_hash) = 32),
    invited_by uuid not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (org_id, id),
    constraint invitations_email unique (org_id, email)
);
-- Whoever accepts knows the token alone.
create index invitations_token on identity.invitations (token_hash);
-- The sweep looks for expired ones of all orgs at once.
create index invitations_expiry on identity.invitations (expires_at);

call identity.tenant_table('orgs', 'select, insert, update');
call identity.tenant_table('memberships');
call identity.tenant_table('invitations');
