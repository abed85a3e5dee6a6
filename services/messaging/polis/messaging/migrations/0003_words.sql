-- Words of messages, beside them: they are written behind the messages' backs, so that posting does not wait for an index.

-- The conversation is a lexeme of its own, so that the index itself leaves out all others; it begins with a space, which no
-- word does.
create table messaging.words (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    search tsvector not null,
    primary key (org_id, conversation_id, seq)
);
call messaging.tenant_table('words', 'select, insert, update, delete');
create index words_search on messaging.words using gin (search);

-- How far the messages of a conversation can be found by words. Not in its row: a column that an index or its condition
-- names would make every post write all of the row's indexes anew.
create table messaging.indexed (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    primary key (org_id, conversation_id)
);
call messaging.tenant_table('indexed', 'select, insert, update');

-- What is a letter does not depend on the collation of the column that the words come from.
create function messaging.lexemes(words text) returns tsvector language sql immutable parallel safe as $$
    select to_tsvector(
        'pg_catalog.simple', regexp_replace(words collate pg_catalog.pg_c_utf8, '[^[:alnum:]]+', ' ', 'g')
    )
$$;
