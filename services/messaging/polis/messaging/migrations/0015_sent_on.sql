-- Whether a message opens a file that is not its sender's: because they could read another one that does. Who reads it by a grant only has it not to give.
alter table messaging.files add column sent_on boolean not null default false;
create index files_sent_on on messaging.files (org_id, artifact_id) where sent_on;
