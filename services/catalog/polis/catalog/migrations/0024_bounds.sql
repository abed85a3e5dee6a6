-- What an org may have so many of is counted by these; with the id, so that they mislead no statement that looks for one row.
create index change_sets_waiting on catalog.change_sets (org_id, id) where status in ('open', 'approved', 'rejected');
create index publisher_keys_counting on catalog.publisher_keys (org_id, id) where revoked_at is null;
