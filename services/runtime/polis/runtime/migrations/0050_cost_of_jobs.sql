-- What the attempts at a job have cost that were given back: it counts with the outcome, whoever brings that.
alter table runtime.jobs add column cost bigint not null default 0;
