-- What the stream is known to hold is recorded in windows, not on each event: an event is written once and never changed.

create table :service.published (
    first_seq bigint primary key,
    ns bigint[] not null,
    at timestamptz not null default now()
);
comment on table :service.published is 'global: places of events in the stream; the events themselves stand in the outbox';
create index published_at on :service.published (at);
grant select, insert, update, delete on :service.published to :service_system;

set local role :service_system;
insert into :service.published (first_seq, ns, at)
select min(stream_seq), array_agg(n order by stream_seq), max(published_at)
from (
    select n, stream_seq, published_at, stream_seq - row_number() over (order by stream_seq) as run
    from :service.outbox where stream_seq is not null
) p
group by run, stream_seq / 500;
set local role :service_owner;

-- Up to `low` every event stands in the stream or will never exist; of those above it, the windows behind `low_seq` tell.
alter table :service.relay add low bigint not null default 0, add low_seq bigint not null default 0;

drop index :service.outbox_pending;
drop index :service.outbox_seq;
alter table :service.outbox drop stream_seq, drop published_at;
revoke update on :service.outbox from :service_system;
