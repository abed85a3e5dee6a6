-- While a table is new, PostgreSQL takes an index of what is open for one of a few rows, and so for the cheapest way to
-- any row whose statement says that it is open: flushes went through all open runs of the org to find the one whose id
-- they had, and kept to that until the table was analysed. These two say in other words what is open; the statements that
-- are meant for them repeat the words.
drop index runtime.runs_open_by_actor;
create index runs_open_by_actor on runtime.runs (org_id, actor_id)
    where state not in ('succeeded', 'failed', 'cancelled');
drop index runtime.waits_open_by_name;
create index waits_open_by_name on runtime.waits (org_id, kind, name) where num_nulls(closed_at) = 1;
-- Nor to one that merely begins with the org: by (org, id) what a run waits for looked as cheap to find as by (org, run).
alter table runtime.jobs drop constraint jobs_org_id_id_fkey;
alter table runtime.waits drop constraint waits_id;
alter table runtime.waits add constraint waits_id unique (id, org_id);
alter table runtime.jobs add foreign key (org_id, id) references runtime.waits (org_id, id) on delete cascade;
