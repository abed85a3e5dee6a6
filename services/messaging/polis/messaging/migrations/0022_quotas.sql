-- Which orgs have a quota for messages: a projection of what identity tells.

create table messaging.quotas (
    org_id uuid not null,
    id uuid not null,
    primary key (org_id, id)
);
call messaging.tenant_table('quotas', 'select, insert, delete');
