-- The scopes of the token by which a version was activated: its triggers start nothing that this token could not.

alter table runtime.triggers add column scopes text[] collate "C" not null default '{}';
