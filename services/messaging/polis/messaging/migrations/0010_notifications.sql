-- What people want to be told of outside of the chat, and what is to be told them when.

create table messaging.notification_preferences (
    org_id uuid not null,
    principal_id uuid not null,
    about text[] not null,
    mail boolean not null,
    url text,
    secret_id uuid,
    quiet_begin text collate "C",
    quiet_end text collate "C",
    zone text collate "C",
    not_of uuid[] not null,
    failed_at timestamptz,
    failure text,
    hour_at timestamptz,
    hour_told integer not null default 0,
    primary key (org_id, principal_id),
    constraint notification_preferences_secret check (url is not null or secret_id is null),
    constraint notification_preferences_quiet check (num_nulls(quiet_begin, quiet_end, zone) in (0, 3)),
    constraint notification_preferences_failure check ((failed_at is null) = (failure is null))
) with (fillfactor = 80);
comment on column messaging.notification_preferences.hour_at is 'since when hour_told notifications were told, within an hour';
call messaging.tenant_table('notification_preferences');

-- One for each who is to be told of a conversation, until it is read: first it waits, then it keeps others away.
create table messaging.notices (
    org_id uuid not null,
    principal_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    last_seq bigint not null,
    last_at timestamptz not null,
    due_at timestamptz not null,
    told_at timestamptz,
    primary key (org_id, principal_id, conversation_id)
) with (fillfactor = 80);
comment on column messaging.notices.seq is 'the message that it tells of';
comment on column messaging.notices.last_seq is 'the last one that it would tell of since then';
comment on column messaging.notices.due_at is 'when it is told; when it has been told: is forgotten';
call messaging.tenant_table('notices');
create index notices_due on messaging.notices (due_at);

-- How far a conversation has been gone through for what is to be told, beside how far its words can be found: a row that is
-- written behind the messages' backs anyway. What was there before is not told any more. Conversations at rest are in no index.
alter table messaging.indexed add column looked_seq bigint not null default 0;
alter table messaging.indexed no force row level security;
update messaging.indexed set looked_seq = seq;
alter table messaging.indexed force row level security;
create index indexed_unlooked on messaging.indexed (org_id, conversation_id) where seq > looked_seq;
