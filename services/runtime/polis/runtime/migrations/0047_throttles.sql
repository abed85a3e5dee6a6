-- When the last messages of a throttling step have passed, and when the last of those that wait are to: as many as it lets
-- pass in one period, the oldest first. Who is due passes only if that is not too many by then: processes may have been away.
create table runtime.throttles (
    org_id uuid not null,
    run_id uuid not null,
    node text collate "C" not null,
    passed timestamptz[] not null,
    planned timestamptz[] not null,
    primary key (org_id, run_id, node),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade
);
call runtime.tenant_table('throttles', 'select, insert, update');
