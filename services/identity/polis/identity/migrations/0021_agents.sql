-- Agents get a number, a kind, a place, a limit, and may be suspended.

alter table identity.orgs add column agents_numbered integer not null default 0;
comment on column identity.orgs.agents_numbered is 'the highest number that an agent of this org had: none is used twice';

alter table identity.agents
    add column number integer,
    add column kind text collate "C" not null default 'agent' check (kind in ('agent', 'application')),
    add column unit_id uuid,
    add column scopes text[] not null
        default '{catalog:read,catalog:write,identity:read,runtime:read,runtime:run}',
    add column suspended_at timestamptz,
    -- A unit with agents stays.
    add constraint agents_unit foreign key (org_id, unit_id) references identity.units (org_id, id);
alter table identity.agents alter column scopes drop default;

with numbered as (
    select org_id, id, row_number() over (partition by org_id order by created_at, id) as number
    from identity.agents
)
update identity.agents a set number = n.number from numbered n where n.org_id = a.org_id and n.id = a.id;
update identity.orgs o set agents_numbered = coalesce(
    (select max(a.number) from identity.agents a where a.org_id = o.org_id), 0);

alter table identity.agents
    alter column number set not null,
    add constraint agents_number unique (org_id, number);
create index agents_in_unit on identity.agents (org_id, unit_id, key);

-- The sweep looks for expired ones of all orgs at once.
create index credentials_expiry on identity.credentials (expires_at) where expires_at is not null;
