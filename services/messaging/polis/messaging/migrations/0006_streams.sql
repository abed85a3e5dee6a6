-- What is being said: the text as far as it was taken, how much of it is shown, and when something was heard of it last.

-- Whoever speaks, controls or ends holds the stream's row; whoever holds its conversation's as well has taken that one first.
create table messaging.streams (
    org_id uuid not null,
    id uuid not null,
    conversation_id uuid not null,
    producer_id uuid not null,
    client_id text collate "C" not null,
    state text collate "C" not null
        check (state in ('open', 'paused', 'complete', 'partial', 'preempted', 'cancelled')),
    began_at timestamptz not null,
    heard_at timestamptz not null,
    ended_at timestamptz,
    reply_to bigint,
    thread bigint,
    run_id uuid,
    priority smallint not null default 0,
    taken integer not null default 0,
    shown integer not null default 0,
    bytes integer not null default 0,
    tail text not null default '',
    cancelled_by uuid,
    message_seq bigint,
    primary key (org_id, id),
    constraint streams_end check ((ended_at is null) = (state in ('open', 'paused'))),
    constraint streams_shown check (shown <= taken)
-- Each piece of text writes the row anew, in its own page.
) with (fillfactor = 50);
comment on column messaging.streams.taken is 'characters; all but those of a pause are shown';
comment on column messaging.streams.tail is 'the end of the text; what is before it stands in stream_parts';
comment on column messaging.streams.cancelled_by is 'who cancels the run behind it, from before the run is told';
call messaging.tenant_table('streams');
create unique index streams_client on messaging.streams (org_id, conversation_id, producer_id, client_id);
create index streams_open on messaging.streams (org_id, conversation_id) where state in ('open', 'paused');
create index streams_of on messaging.streams (org_id, producer_id) where state in ('open', 'paused');
create index streams_ended on messaging.streams (ended_at) where ended_at is not null;

create table messaging.stream_parts (
    org_id uuid not null,
    stream_id uuid not null,
    at integer not null,
    text text not null,
    primary key (org_id, stream_id, at)
);
call messaging.tenant_table('stream_parts', 'select, insert, delete');

create function messaging.stream_text(org uuid, stream uuid, tail text) returns text language sql stable as $$
    select coalesce(string_agg(p.text, '' order by p.at), '') || tail
    from messaging.stream_parts p where p.org_id = org and p.stream_id = stream
$$;

-- Takes pieces of text, each where its stream's text ends: what was taken before is passed over, what lies behind a gap is left,
-- and of a paused stream what is more than may be held. The row stays small: a long tail becomes a part. The commit does not
-- wait for the disk: what a crash of the database loses was not answered for longer than that, and is said again by its offset.
create function messaging.continue_streams(
    orgs uuid[], ids uuid[], producers uuid[], offsets integer[], texts text[], now timestamptz,
    most_text integer, most_bytes integer, most_held integer
) returns table (
    n bigint, conversation_id uuid, state text, taken integer, shown integer, priority smallint, message_seq bigint,
    told_at integer, told text, is_full boolean
) language plpgsql as $$
#variable_conflict use_column
declare
    piece record;
    stream messaging.streams;
    said text;
begin
    perform set_config('synchronous_commit', 'off', true);
    for piece in
        select * from unnest(orgs, ids, producers, offsets, texts) with ordinality as w (org, id, producer, at, said, n)
        order by w.org, w.id, w.at, w.n
    loop
        select s.* into stream from messaging.streams s
        join messaging.participants p
            on p.org_id = s.org_id and p.conversation_id = s.conversation_id and p.principal_id = s.producer_id
        where s.org_id = piece.org and s.id = piece.id and s.producer_id = piece.producer and p.state = 'joined'
        for update of s;
        continue when not found;
        n := piece.n;
        told_at := stream.shown;
        told := '';
        is_full := false;
        if stream.state in ('open', 'paused') then
            said := case when piece.at <= stream.taken then substr(piece.said, stream.taken - piece.at + 1) else '' end;
            if stream.state = 'paused' then
                said := left(said, greatest(most_held - (stream.taken - stream.shown), 0));
            end if;
            is_full := stream.taken + length(said) > most_text or stream.bytes + octet_length(said) > most_bytes;
            if is_full then
                said := '';
            end if;
            if length(stream.tail) + length(said) > 1000 then
                insert into messaging.stream_parts (org_id, stream_id, at, text)
                values (stream.org_id, stream.id, stream.taken - length(stream.tail), stream.tail || said);
                stream.tail := '';
            else
                stream.tail := stream.tail || said;
            end if;
            stream.taken := stream.taken + length(said);
            if stream.state = 'open' then
                stream.shown := stream.taken;
                told := said;
            end if;
            update messaging.streams s set heard_at = now, taken = stream.taken, shown = stream.shown, tail = stream.tail,
                bytes = stream.bytes + octet_length(said)
            where s.org_id = stream.org_id and s.id = stream.id;
        end if;
        conversation_id := stream.conversation_id;
        state := stream.state;
        taken := stream.taken;
        shown := stream.shown;
        priority := stream.priority;
        message_seq := stream.message_seq;
        return next;
    end loop;
end $$;
