-- Who may do what with which resources of an org, beyond what is open to its roles.

create table identity.grants (
    org_id uuid not null references identity.orgs (org_id),
    id uuid not null,
    holder_kind text collate "C" not null check (holder_kind in ('principal', 'role', 'unit', 'everyone')),
    holder_id uuid,
    holder_role text collate "C",
    verb text collate "C" not null,
    resource text collate "C" not null,
    approval boolean not null,
    data_class text collate "C" not null
        check (data_class in ('public', 'internal', 'confidential', 'restricted')),
    expires_at timestamptz,
    given_by uuid not null,
    given_at timestamptz not null,
    primary key (org_id, id),
    check ((holder_id is not null) = (holder_kind in ('principal', 'unit'))),
    check ((holder_role is not null) = (holder_kind = 'role'))
);
-- A decision asks for the grants of one verb and a few holders.
create index grants_holder on identity.grants (org_id, holder_kind, holder_id, holder_role, verb);
create index grants_expiry on identity.grants (expires_at) where expires_at is not null;

call identity.tenant_table('grants');
