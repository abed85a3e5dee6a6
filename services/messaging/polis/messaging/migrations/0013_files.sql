-- Which messages carried a file when they were said: where to look for who may read it. Whether one still does, the message says.
create table messaging.files (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    artifact_id uuid not null,
    sender_id uuid not null,
    primary key (org_id, conversation_id, seq, artifact_id)
);
call messaging.tenant_table('files');
create index files_of on messaging.files (org_id, artifact_id, sender_id);

alter table messaging.files no force row level security;
alter table messaging.messages no force row level security;
insert into messaging.files (org_id, conversation_id, seq, artifact_id, sender_id)
select m.org_id, m.conversation_id, m.seq, (part ->> 'artifact_id')::uuid, m.sender_id
from messaging.messages m, jsonb_array_elements(m.more::jsonb -> 'parts') part
where m.more like '%"artifact_id":"%' and part ->> 'artifact_id' is not null
on conflict do nothing;
alter table messaging.messages force row level security;
alter table messaging.files force row level security;
