-- Agents and the secrets by which they sign in.

create table identity.agents (
    org_id uuid not null references identity.orgs (org_id),
    id uuid not null,
    key text collate "C" not null check (key ~ '^[a-z][a-z0-9-]{0,62}$'),
    name text not null,
    -- The session id in this agent's tokens; deleting the agent ends it.
    sid uuid not null,
    created_by uuid not null,
    created_at timestamptz not null,
    primary key (org_id, id),
    constraint agents_key unique (org_id, key)
);
-- An agent signs in with its id alone.
create index agents_id on identity.agents (id);

-- Several per agent, so that a secret can be rotated with an overlap.
create table identity.credentials (
    org_id uuid not null,
    id uuid not null,
    agent_id uuid not null,
    secret_hash bytea not null check (octet_length(secret_hash) = 32),
    created_at timestamptz not null,
    expires_at timestamptz,
    primary key (org_id, id),
    foreign key (org_id, agent_id) references identity.agents (org_id, id) on delete cascade
);
create index credentials_agent on identity.credentials (org_id, agent_id);

call identity.tenant_table('agents');
call identity.tenant_table('credentials');
