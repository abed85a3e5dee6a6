-- What is a letter does not depend on the collation of the column that the words come from: a key's is "C", to which `ñ` is
-- none, and with it the letters of a whole name were cut apart.

create or replace function catalog.lexemes(words text) returns tsvector language sql immutable parallel safe as $$
    select to_tsvector(
        'pg_catalog.simple', regexp_replace(words collate pg_catalog.pg_c_utf8, '[^[:alnum:]]+', ' ', 'g')
    )
$$;
alter table catalog.resources no force row level security;
update catalog.resources set search = catalog.findable(org_id, visibility, key, name, type, tags, body);
alter table catalog.resources force row level security;
