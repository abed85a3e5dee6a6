-- Which orgs have a quota for runs: a projection of what identity tells.

create table runtime.quotas (
    org_id uuid not null,
    id uuid not null,
    primary key (org_id, id)
);
call runtime.tenant_table('quotas', 'select, insert, delete');
