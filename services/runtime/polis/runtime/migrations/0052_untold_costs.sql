-- What a worker says that its job has cost, when another outcome has been taken, or another worker has the job by now.
alter table runtime.jobs
    add column workers uuid[] not null default '{}',
    add column untold bigint not null default 0,
    add column told integer[] not null default '{}';
comment on column runtime.jobs.workers is 'who has claimed it, by token; as many as there are attempts at the most';
comment on column runtime.jobs.untold is 'what was said of its cost by claims that held no more: no outcome tells it';
comment on column runtime.jobs.told is 'tokens of the claims that have said so: each is heard once';
