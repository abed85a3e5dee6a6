-- By what a process's sessions are known to PostgreSQL: one that froze in the middle of a transaction holds the rows of its
-- runs for as long as the server waits for it, so whoever takes the runs over ends the sessions.
alter table runtime.instances add column sessions text collate "C" not null default '';
