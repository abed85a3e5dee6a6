-- What was done in each org, by whom: rows that are added and never changed, each bound to the one before it by its hash.

create table identity.audit (
    org_id uuid not null,
    -- Without gaps in an org: a missing number is a missing row.
    n bigint not null check (n > 0),
    at timestamptz not null,
    action text collate "C" not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    actor_id uuid,
    subject text not null,
    -- A JSON object as text, because the hash is of these very bytes.
    detail text not null check (detail is json object),
    -- SHA-256(hash of n - 1, n as eight bytes, SHA-256 of the rest); 32 zero bytes stand before the first.
    hash bytea not null check (octet_length(hash) = 32),
    primary key (org_id, n)
);
create index audit_action on identity.audit (org_id, action, n);
create index audit_actor on identity.audit (org_id, actor_id, n) where actor_id is not null;
-- The sweep looks for the oldest rows of all orgs at once.
create index audit_at on identity.audit (at);

-- Where each chain ends. Whoever writes takes this row, and so writers of an org follow each other.
create table identity.audit_heads (
    org_id uuid not null,
    n bigint not null,
    hash bytea not null check (octet_length(hash) = 32),
    primary key (org_id)
);

-- Where each chain begins after rows too old to be kept were removed: the number and hash of the last of them.
create table identity.audit_cuts (
    org_id uuid not null,
    n bigint not null,
    hash bytea not null check (octet_length(hash) = 32),
    at timestamptz not null,
    primary key (org_id, n)
);

call identity.tenant_table('audit', 'select, insert');
call identity.tenant_table('audit_heads', 'select, insert, update');
call identity.tenant_table('audit_cuts', 'select, insert');
revoke delete on identity.audit_heads, identity.audit_cuts from identity_system;

-- The system role may delete, for the sweep, but what it may delete is settled here and not in the service.
create function identity.keep_audit() returns trigger language plpgsql as $$
begin
    if old.at > now() - interval '30 days' then
        raise insufficient_privilege using message = 'the audit log keeps what is not a month old';
    end if;
    if not exists (select from identity.audit_cuts c where c.org_id = old.org_id and c.n >= old.n) then
        raise insufficient_privilege using message = 'the audit log is cut at its beginning, and says where';
    end if;
    return old;
end
$$;
create trigger keep_audit before delete on identity.audit for each row execute function identity.keep_audit();
