-- On the first day, when tables are believed to hold next to nothing, any index that begins with the org was as good as the
-- primary key for a stream by its id, and all streams of the org were read. These begin with what they are for.
drop index messaging.streams_client;
drop index messaging.streams_open;
drop index messaging.streams_of;
create unique index streams_client on messaging.streams (conversation_id, producer_id, client_id, org_id);
create index streams_open on messaging.streams (conversation_id) where state in ('open', 'paused');
create index streams_of on messaging.streams (producer_id) where state in ('open', 'paused');
