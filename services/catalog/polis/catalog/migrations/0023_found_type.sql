-- What a file is by its first bytes; null where they tell nothing, and for files that were stored before.
alter table catalog.artifacts add found_type text;
