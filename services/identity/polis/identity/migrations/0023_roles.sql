-- Roles of an org's own, beside those that every org has.

create table identity.roles (
    org_id uuid not null references identity.orgs (org_id),
    key text collate "C" not null
        check (key ~ '^[a-z][a-z0-9-]{0,62}$'
            and key not in ('owner', 'admin', 'member', 'viewer', 'agent', 'service', 'administrator')),
    name text not null,
    scopes text[] not null,
    created_by uuid not null,
    created_at timestamptz not null,
    primary key (org_id, key)
);

-- A member's role is one of every org's or one of these; whoever gives or deletes one holds the org's row.
alter table identity.memberships
    drop constraint memberships_role_check,
    add constraint memberships_role_check check (role ~ '^[a-z][a-z0-9-]{0,62}$');
alter table identity.invitations
    drop constraint invitations_role_check,
    add constraint invitations_role_check check (role ~ '^[a-z][a-z0-9-]{0,62}$');
create index memberships_role on identity.memberships (org_id, role);

call identity.tenant_table('roles');
