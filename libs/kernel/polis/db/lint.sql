-- One row per broken rule of tenancy, in words.

with schemas as (
    select n.oid, n.nspname::text as name, n.nspowner, n.nspacl from pg_namespace n
    where exists (select from pg_roles r where r.rolname = n.nspname || '_owner')
), relations as (
    select c.oid, c.relkind::text as kind, s.name as schema, format('%s.%s', s.name, c.relname) as name, c.relowner,
        pg_get_userbyid(c.relowner)::text as owner, c.relacl, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
        coalesce(obj_description(c.oid, 'pg_class'), '') as comment
    from pg_class c join schemas s on s.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
), tables as (
    select r.*, r.comment like 'global:%' as is_global from relations r where r.kind in ('r', 'p', 'f')
), org_columns as (
    select a.attrelid, a.attnum from pg_attribute a
    where a.attname = 'org_id' and a.attnotnull and a.atttypid = 'uuid'::regtype
), policies as (
    select t.name, t.schema, t.comment, p.polname::text as policy, p.polcmd::text as command, p.polpermissive,
        array(select case role when 0 then 'public' else pg_get_userbyid(role)::text end
            from unnest(p.polroles) role order by 1) as roles,
        pg_get_expr(p.polqual, p.polrelid) as condition,
        coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid)) as written
    from pg_policy p join tables t on t.oid = p.polrelid
), of_its_orgs as (
    select 'COALESCE((org_id = ANY (( SELECT (NULLIF(current_setting(''polis.orgs''::text, true), ''''::text))::uuid[]'
        || ' AS "nullif")::uuid[])), false)' as condition
), unique_keys as (
    select t.oid as table_oid, t.name, i.indexrelid::regclass::text as key, i.indkey::int2[] as columns,
        concat(obj_description(i.indexrelid, 'pg_class'), obj_description(k.oid, 'pg_constraint')) as comment
    from pg_index i join tables t on t.oid = i.indrelid
        left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
    where not t.is_global and (i.indisunique or i.indisexclusion)
), foreign_keys as (
    select t.name, t.schema, t.is_global, c.conname, c.conrelid, c.confrelid, c.conkey, c.confkey
    from pg_constraint c join tables t on t.oid = c.conrelid where c.contype = 'f'
), grants as (
    select r.name, r.schema, r.owner, a.privilege_type as privilege,
        case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end as grantee
    from relations r, aclexplode(r.relacl) a
), roles as (
    select s.name as schema, r.* from schemas s
        join pg_roles r on r.rolname in ('app_' || s.name, s.name || '_system', s.name || '_owner')
)

select format('%s is owned by %s', name, owner) as fault from relations where owner <> schema || '_owner'

union all
select format('%s is a materialized view, which row-level security does not reach', name) from relations
where kind = 'm' and comment not like 'global:%'

union all
select format('%s is a view that reads as its owner: it lacks security_invoker', name) from relations
where kind = 'v' and not coalesce(
    reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)

union all
select format('%s has no column org_id uuid not null, and no comment that says why it is global', name) from tables
where not is_global and oid not in (select attrelid from org_columns)

union all
select format('%s has no row-level security', name) from tables where not is_global and not relrowsecurity

union all
select format('%s does not force row-level security on its owner', name) from tables
where not is_global and not relforcerowsecurity

union all
select format('%s has no policy tenant for all commands of app_%s alone', name, schema) from tables t
where not is_global and not exists (
    select from policies p where p.name = t.name and p.policy = 'tenant' and p.command = '*' and p.polpermissive
        and p.roles = array['app_' || t.schema])

union all
select format('%s: policy tenant does not compare org_id with polis.orgs as tenant_table does', p.name)
from policies p, of_its_orgs o
where p.policy = 'tenant' and (p.condition <> o.condition or p.written <> o.condition)

union all
select format('%s: policy across_orgs is for %s', name, array_to_string(roles, ', ')) from policies
where policy = 'across_orgs' and roles <> array[schema || '_system']

union all
select format('%s: policy %s allows more than select', name, policy) from policies
where policy not in ('tenant', 'across_orgs') and polpermissive and command <> 'r'

union all
select format('%s: policy %s is not named in the comment of the table', name, policy) from policies
where policy not in ('tenant', 'across_orgs') and polpermissive and position(policy in comment) = 0

-- Numbers that the table itself gives out tell nothing of another org's values.
union all
select format('%s is unique across orgs: %s', name, key) from unique_keys k
where comment not like 'global:%'
    and not exists (select from org_columns o where o.attrelid = k.table_oid and o.attnum = any(k.columns))
    and not exists (select from pg_attribute a
        where a.attrelid = k.table_oid and a.attidentity = 'a' and array[a.attnum] @> k.columns)

union all
select format('%s: foreign key %s leaves the schema', f.name, f.conname) from foreign_keys f
where f.confrelid not in (select r.oid from relations r where r.schema = f.schema)

-- The check of a foreign key is made by its owner and sees every org.
union all
select format('%s: foreign key %s does not carry org_id, so it may point at another org', f.name, f.conname)
from foreign_keys f join tables t on t.oid = f.confrelid
where not f.is_global and not t.is_global and not exists (
    select from unnest(f.conkey, f.confkey) as pair(here, there)
        join org_columns h on h.attrelid = f.conrelid and h.attnum = pair.here
        join org_columns o on o.attrelid = f.confrelid and o.attnum = pair.there)

union all
select format('%s.%s runs as its owner: it is security definer', s.name, p.proname)
from pg_proc p join schemas s on s.oid = p.pronamespace
where p.prosecdef and coalesce(obj_description(p.oid, 'pg_proc'), '') not like 'global:%'

union all
select format('%s may %s %s', grantee, lower(privilege), name) from grants
where grantee <> owner
    and (grantee not in ('app_' || schema, schema || '_system') or privilege in ('TRUNCATE', 'REFERENCES', 'TRIGGER'))

union all
select format('%s has %s on schema %s', case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end,
    lower(a.privilege_type), s.name)
from schemas s, aclexplode(s.nspacl) a
where a.grantee <> s.nspowner and (a.privilege_type <> 'USAGE' or a.grantee = 0
    or pg_get_userbyid(a.grantee) not in ('app_' || s.name, s.name || '_system'))

union all
select format('role %s is not bound by row-level security', rolname) from roles where rolsuper or rolbypassrls

union all
select format('role %s may log in', rolname) from roles where rolcanlogin and rolname <> 'app_' || schema

union all
select format('role %s may create roles or databases', rolname) from roles where rolcreaterole or rolcreatedb

-- The process may take its system role on, knowingly; nothing else is its own without asking.
union all
select format('role %s is a member of %s', r.rolname, pg_get_userbyid(m.roleid))
from roles r join pg_auth_members m on m.member = r.oid
where not (r.rolname = 'app_' || r.schema and pg_get_userbyid(m.roleid) = r.schema || '_system'
    and not m.inherit_option and not m.admin_option)

order by 1
