-- Resources, their drafts, immutable versions, and which version an environment uses.
--
-- Every table carries the policy `tenant`. Three of them also carry `public_read`, for select only: a public row is
-- readable by every org and writable by its own alone, because no policy lets an insert, update, delete or row lock
-- reach it. `visibility` is therefore a column of those three, kept equal by the foreign key's cascade.

create table catalog.resources (
    org_id uuid not null,
    id uuid not null,
    type text collate "C" not null,
    key text collate "C" not null check (key ~ '^[a-z][a-z0-9._-]{0,119}$'),
    name text not null,
    visibility text not null default 'org' check (visibility in ('private', 'org', 'public')),
    revision integer not null default 1 check (revision > 0),
    latest integer check (latest > 0),
    created_by uuid not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (org_id, id),
    constraint resources_key unique (org_id, type, key),
    constraint resources_visibility unique (org_id, id, visibility)
);
comment on table catalog.resources is 'tenant, public_read: rows with visibility public are readable by every org';

-- A public resource is found by its id alone, and all of them are listed by key: the caller knows no org for either.
create index resources_public_id on catalog.resources (id) where visibility = 'public';
create index resources_public_key on catalog.resources (key, id) where visibility = 'public';
create index resources_list on catalog.resources (org_id, key, id);

create table catalog.drafts (
    org_id uuid not null,
    resource_id uuid not null,
    content text not null,
    primary key (org_id, resource_id),
    foreign key (org_id, resource_id) references catalog.resources (org_id, id) on delete cascade
);

-- `content` is text, the canonical JSON itself: jsonb would change numbers, and with them the digest.
create table catalog.versions (
    org_id uuid not null,
    resource_id uuid not null,
    visibility text not null default 'org',
    number integer not null check (number > 0),
    digest text collate "C" not null,
    content text not null,
    changelog text not null,
    published_by uuid not null,
    published_at timestamptz not null,
    primary key (org_id, resource_id, number),
    foreign key (org_id, resource_id, visibility) references catalog.resources (org_id, id, visibility)
        on update cascade,
    constraint versions_content_is_what_the_digest_says
        check (digest = encode(sha256(convert_to(content, 'UTF8')), 'hex'))
);
comment on table catalog.versions is 'tenant, public_read: rows with visibility public are readable by every org';
create index versions_digest on catalog.versions (org_id, resource_id, digest, number);

create table catalog.activations (
    org_id uuid not null,
    resource_id uuid not null,
    visibility text not null default 'org',
    environment text collate "C" not null check (environment ~ '^[a-z][a-z0-9-]{0,31}$'),
    number integer not null,
    change integer not null check (change > 0),
    activated_by uuid not null,
    activated_at timestamptz not null,
    primary key (org_id, resource_id, environment),
    foreign key (org_id, resource_id, visibility) references catalog.resources (org_id, id, visibility)
        on update cascade,
    foreign key (org_id, resource_id, number) references catalog.versions (org_id, resource_id, number)
);
comment on table catalog.activations is 'tenant, public_read: rows with visibility public are readable by every org';

-- Append-only: one row for every time that a pointer moved, numbered per pointer by `change`.
create table catalog.activation_history (
    org_id uuid not null,
    resource_id uuid not null,
    environment text collate "C" not null,
    change integer not null check (change > 0),
    number integer not null,
    previous integer,
    activated_by uuid not null,
    activated_at timestamptz not null,
    primary key (org_id, resource_id, environment, change),
    foreign key (org_id, resource_id) references catalog.resources (org_id, id)
);

-- Versions and history are written once: nothing here may update or delete them.
call catalog.tenant_table('resources', 'select, insert, update');
call catalog.tenant_table('drafts', 'select, insert, update');
call catalog.tenant_table('versions', 'select, insert');
call catalog.tenant_table('activations', 'select, insert, update');
call catalog.tenant_table('activation_history', 'select, insert');

create policy public_read on catalog.resources for select to app_catalog using (visibility = 'public');
create policy public_read on catalog.versions for select to app_catalog using (visibility = 'public');
create policy public_read on catalog.activations for select to app_catalog using (visibility = 'public');
