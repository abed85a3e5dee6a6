-- What is said of resources beyond their content: tags, deprecation, the words to find them by; and how they end.

alter table catalog.resources
    add column tags text[] not null default '{}',
    add column deprecated_at timestamptz,
    add column deprecated_by uuid,
    add column deprecation text not null default '',
    -- Words of the latest version: what was published may be found by whoever may see the resource; a draft may not.
    add column body tsvector not null default '',
    add column search tsvector not null default '',
    add column status text collate "C" not null default 'draft' check (status in ('draft', 'published', 'deprecated'));
-- What is there already belongs to every org, and the owner of a table is held to its policies too.
alter table catalog.resources no force row level security;
update catalog.resources set status = 'published' where latest is not null;
alter table catalog.resources add constraint resources_status_is_what_happened check (
    status = case when deprecated_at is not null then 'deprecated' when latest is null then 'draft' else 'published' end
);
-- Whatever is no letter or digit parts words, in what is found as in what is asked: `email-digest` is two of them.
create function catalog.lexemes(words text) returns tsvector language sql immutable parallel safe as
    $$ select to_tsvector('pg_catalog.simple', regexp_replace(words, '[^[:alnum:]]+', ' ', 'g')) $$;
create function catalog.tag_words(tags text[]) returns text language sql immutable parallel safe as
    $$ select array_to_string(tags, ' ') $$;
-- By what a resource is found; whatever changes one of these writes `search` anew.
create function catalog.findable(key text, name text, type text, tags text[], body tsvector) returns tsvector
language sql immutable parallel safe as $$
    select setweight(catalog.lexemes(key || ' ' || name), 'A')
        || setweight(catalog.lexemes(type || ' ' || catalog.tag_words(tags)), 'B') || setweight(body, 'D')
$$;
update catalog.resources set search = catalog.findable(key, name, type, tags, body);
alter table catalog.resources force row level security;

-- A resource goes with all that belongs to it. Versions have no grant for delete: they go with their resource or not at all.
alter table catalog.versions
    drop constraint versions_org_id_resource_id_visibility_fkey,
    add constraint versions_resource foreign key (org_id, resource_id, visibility)
        references catalog.resources (org_id, id, visibility) on update cascade on delete cascade;
alter table catalog.activations
    drop constraint activations_org_id_resource_id_visibility_fkey,
    drop constraint activations_org_id_resource_id_number_fkey,
    add constraint activations_resource foreign key (org_id, resource_id, visibility)
        references catalog.resources (org_id, id, visibility) on update cascade on delete cascade,
    add constraint activations_version foreign key (org_id, resource_id, number)
        references catalog.versions (org_id, resource_id, number) on delete cascade;
grant delete on catalog.resources, catalog.activations to app_catalog;

-- History outlives what it tells of; a move to no version has no number.
alter table catalog.activation_history
    drop constraint activation_history_org_id_resource_id_fkey,
    alter column number drop not null;
-- What was active at a moment is looked for by the moment.
create index activation_history_at on catalog.activation_history (org_id, activated_at);

-- Which version uses which resource: written when it is published. `pinned` is the number that the content names, else 0;
-- `used_number` is what it came to then.
create table catalog.uses (
    org_id uuid not null,
    resource_id uuid not null,
    visibility text not null default 'org',
    number integer not null,
    used_type text collate "C" not null,
    used_key text collate "C" not null,
    pinned integer not null default 0,
    used_org_id uuid not null,
    used_id uuid not null,
    used_number integer not null,
    primary key (org_id, resource_id, number, used_type, used_key, pinned),
    constraint uses_resource foreign key (org_id, resource_id, visibility)
        references catalog.resources (org_id, id, visibility) on update cascade on delete cascade
);
comment on table catalog.uses is 'tenant, public_read: rows with visibility public are readable by every org';
create index uses_used on catalog.uses (org_id, used_id, resource_id, number);
call catalog.tenant_table('uses', 'select, insert');
create policy public_read on catalog.uses for select to app_catalog using (visibility = 'public');
