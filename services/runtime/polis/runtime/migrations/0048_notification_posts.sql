-- Notifications that are to be posted to webhooks of people, until they have arrived or were tried often enough.

create table runtime.notification_posts (
    org_id uuid not null,
    id uuid not null,
    principal_id uuid not null,
    conversation_id uuid not null,
    unread integer not null,
    at timestamptz not null,
    due_at timestamptz not null,
    tries integer not null default 0,
    primary key (org_id, id)
) with (fillfactor = 80);
call runtime.tenant_table('notification_posts');
create index notification_posts_due on runtime.notification_posts (due_at);
