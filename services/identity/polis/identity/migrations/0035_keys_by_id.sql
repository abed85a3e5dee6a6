-- On the first day, when tables are believed to hold next to nothing, any index that begins with the org was as good as the
-- primary key for a key by its id, and all keys of the org were read. Most are in no unit, and units are of one org each.
drop index identity.api_keys_in_unit;
create index api_keys_in_unit on identity.api_keys (unit_id) where unit_id is not null;
