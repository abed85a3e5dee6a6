-- Attempts stand in the run's own row: they are written with its last record, and a row of their own would cost each run more.

drop table runtime.attempts;
alter table runtime.runs add column attempts bytea;
comment on column runtime.runs.attempts is 'JSON: the last attempts of each step, written when the run ends or rests';
