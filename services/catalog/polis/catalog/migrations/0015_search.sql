-- Search by an index. Who may see a resource is a lexeme of it too, so that the index itself leaves out other orgs; it
-- begins with a space, which no word does.

drop function catalog.findable(text, text, text, text[], tsvector);
create function catalog.findable(
    org_id uuid, visibility text, key text, name text, type text, tags text[], body tsvector
) returns tsvector language sql immutable parallel safe as $$
    select setweight(catalog.lexemes(key || ' ' || name), 'A')
        || setweight(catalog.lexemes(type || ' ' || catalog.tag_words(tags)), 'B') || setweight(body, 'D')
        || array_to_tsvector(array[' ' || org_id::text, case visibility when 'public' then ' public' else ' ' end])
$$;
alter table catalog.resources no force row level security;
update catalog.resources set search = catalog.findable(org_id, visibility, key, name, type, tags, body);
alter table catalog.resources force row level security;
create index resources_search on catalog.resources using gin (search);
