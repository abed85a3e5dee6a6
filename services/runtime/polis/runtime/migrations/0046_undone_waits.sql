-- What a run waited for can be undone: its outcome is given the number and the inputs by which that is done, whoever brings it.
alter table runtime.waits add column undo bytea;
comment on column runtime.waits.undo is 'what an outcome is given so that it can be undone, as the journal takes it';
