-- How long a run may take at the most, where whoever started it has said so; its graph's own bound holds besides.
alter table runtime.runs add column timeout_s double precision;
