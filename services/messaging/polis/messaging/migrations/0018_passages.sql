-- Words are indexed by passages: up to sixteen messages of a conversation that follow each other, said in about the same moment.
-- A word that several of them say is written once, and a row, its key and what the index takes for each are shared.
-- Which message of a passage says all that is looked for, the messages tell.

-- The conversation is a lexeme of its own, so that the index itself leaves out all others; it begins with a space, which no
-- word does.
create table messaging.passages (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    first_seq bigint not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    search tsvector not null,
    primary key (org_id, conversation_id, seq)
);
comment on column messaging.passages.seq is 'the last message of it';
call messaging.tenant_table('passages', 'select, insert, update');
create index passages_search on messaging.passages using gin (search);

create function messaging.that_fit(words text[]) returns text[] language sql immutable parallel safe as $$
    select array(select w from unnest(words) w where octet_length(w) between 1 and 2046)
$$;
comment on function messaging.that_fit(text[]) is 'the words that a tsvector takes';

-- What is a letter depends neither on the collation of the column that the words come from nor on the database's. PostgreSQL's own parser
-- finds the same words where only letters, digits and spaces are left, in twice the time.
create function messaging.words_of(said text, longest integer) returns text[] language sql immutable parallel safe as $$
    select case when longest < 1000
        then array_remove(string_to_array(
            lower(regexp_replace(said collate pg_catalog.pg_c_utf8, '[^[:alnum:] ]+', ' ', 'g')), ' '), '')
        else messaging.that_fit(string_to_array(
            lower(regexp_replace(said collate pg_catalog.pg_c_utf8, '[^[:alnum:] ]+', ' ', 'g')), ' '))
        end
$$;
comment on function messaging.words_of(text, integer) is 'the words of texts of which the longest has so many bytes';

-- Indexes the next messages of conversations, of each so many; the places of those in the lists of which there may be more.
--
-- The first statement holds how far each is indexed, as whoever changes a message does: what the second one reads is not
-- changed before it is written.
create function messaging.index_words(orgs uuid[], conversations uuid[], most integer)
returns bigint[] language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    left_over bigint[];
begin
    insert into messaging.indexed as i (org_id, conversation_id, seq)
    select w.o, w.c, 0 from unnest(orgs, conversations) as w (o, c) order by w.o, w.c
    on conflict (org_id, conversation_id) do update set seq = i.seq where false;

    with heeded as materialized (
        select w.n, w.o, w.c, h.head_seq as head, h.done
        from unnest(orgs, conversations) with ordinality as w (o, c, n)
        cross join lateral (
            select c.head_seq, greatest(c.kept_from - 1, (
                select i.seq from messaging.indexed i where i.org_id = w.o and i.conversation_id = w.c
            )) as done
            from messaging.conversations c where c.org_id = w.o and c.id = w.c offset 0
        ) h
    ), said as materialized (
        select h.n, p.first_seq, p.seq, p.first_at, p.last_at, p.many, p.search from heeded h
        cross join lateral (
            select min(m.seq) as first_seq, max(m.seq) as seq, min(m.sent_at) as first_at, max(m.sent_at) as last_at,
                count(*) as many,
                array_to_tsvector(
                    messaging.words_of(string_agg(m.text, ' '), max(octet_length(m.text))) || (' ' || h.c::text)
                ) as search
            from (
                -- A tsvector holds a mebibyte: messages that are nearly as long do not share one.
                select m.seq, m.sent_at, m.text, (row_number() over said - 1) / 16 as nth,
                    sum(octet_length(m.text)) over said / 65536 as bytes
                from messaging.messages m
                where m.org_id = h.o and m.conversation_id = h.c and m.seq > h.done and m.seq <= h.head
                window said as (order by m.seq rows unbounded preceding)
                order by m.seq limit most
            ) m
            group by m.nth, m.bytes
        ) p
    ), put as (
        insert into messaging.passages (org_id, conversation_id, seq, first_seq, first_at, last_at, search)
        select h.o, h.c, s.seq, s.first_seq, s.first_at, s.last_at, s.search from said s join heeded h on h.n = s.n
    ), reached as (
        select h.n, h.o, h.c, coalesce(sum(s.many) = most, false) as more,
            case when sum(s.many) = most then max(s.seq) else h.head end as seq
        from heeded h left join said s on s.n = h.n
        group by h.n, h.o, h.c, h.head
    ), marked as (
        insert into messaging.indexed as i (org_id, conversation_id, seq)
        select r.o, r.c, r.seq from reached r
        on conflict (org_id, conversation_id) do update set seq = excluded.seq where i.seq < excluded.seq
    )
    select array_agg(r.n) filter (where r.more) into left_over from reached r;
    return left_over;
end $$;

-- Writes the words anew of the passage that a message stands in, if it is indexed: after it says something else, or nothing is left
-- of it, or of those before it.
create function messaging.reword(org uuid, conversation uuid, message bigint)
returns void language plpgsql set plan_cache_mode = force_generic_plan as $$
begin
    insert into messaging.indexed as i (org_id, conversation_id, seq) values (org, conversation, 0)
    on conflict (org_id, conversation_id) do update set seq = i.seq where false;

    update messaging.passages p set search = array_to_tsvector(
        (
            select messaging.words_of(string_agg(m.text, ' '), max(octet_length(m.text))) from messaging.messages m
            where m.org_id = org and m.conversation_id = conversation and m.seq <= p.seq and m.seq >= greatest(p.first_seq, (
                select c.kept_from from messaging.conversations c where c.org_id = org and c.id = conversation
            ))
        ) || (' ' || conversation::text)
    )
    where p.org_id = org and p.conversation_id = conversation and p.first_seq <= message and p.seq = (
        select q.seq from messaging.passages q
        where q.org_id = org and q.conversation_id = conversation and q.seq >= message order by q.seq limit 1
    );
end $$;

-- What was indexed before, by message.
set local role messaging_system;
insert into messaging.passages (org_id, conversation_id, seq, first_seq, first_at, last_at, search)
select m.org_id, m.conversation_id, max(m.seq), min(m.seq), min(m.sent_at), max(m.sent_at),
    array_to_tsvector(
        messaging.words_of(string_agg(m.text, ' '), max(octet_length(m.text))) || (' ' || m.conversation_id::text)
    )
from (
    select m.org_id, m.conversation_id, m.seq, m.sent_at, m.text, (row_number() over said - 1) / 16 as nth,
        sum(octet_length(m.text)) over said / 65536 as bytes
    from messaging.indexed i
    join messaging.messages m on m.org_id = i.org_id and m.conversation_id = i.conversation_id and m.seq <= i.seq
    window said as (partition by m.org_id, m.conversation_id order by m.seq rows unbounded preceding)
) m
group by m.org_id, m.conversation_id, m.nth, m.bytes;
set local role messaging_owner;
drop table messaging.words;
drop function messaging.lexemes(text);
