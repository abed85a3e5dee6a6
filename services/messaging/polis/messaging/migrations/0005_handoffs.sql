-- Who is responsible for a conversation, and handing that over.

-- Of two the agent, of others who began it. What was told of conversations says it from now on, too.
alter table messaging.conversations no force row level security;
alter table messaging.participants no force row level security;
alter table messaging.entries no force row level security;
alter table messaging.conversations add column responsible_id uuid;
update messaging.conversations c set responsible_id = coalesce(
    (
        select p.principal_id from messaging.participants p
        where p.org_id = c.org_id and p.conversation_id = c.id and p.state = 'joined'
            and case c.kind when 'direct' then p.kind = 'agent' else p.role = 'owner' end
        order by p.since, p.principal_id limit 1
    ),
    c.created_by
);
alter table messaging.conversations alter column responsible_id set not null;
update messaging.entries e set body = (e.body::jsonb || jsonb_build_object('responsible_id', c.responsible_id))::text
from messaging.conversations c
where c.org_id = e.org_id and c.id = e.conversation_id and e.kind in ('created', 'changed');
alter table messaging.conversations force row level security;
alter table messaging.participants force row level security;
alter table messaging.entries force row level security;

alter table messaging.participants add column guest text collate "C" check (guest in ('nobody', 'observer'));
comment on column messaging.participants.guest is
    'what somebody was before it became responsible, and is again when it is not; null: it takes part anyway';

-- At most one waits in a conversation, and at most one is claimed: by who is responsible.
create table messaging.handoffs (
    org_id uuid not null,
    id uuid not null,
    conversation_id uuid not null,
    state text collate "C" not null
        check (state in ('waiting', 'claimed', 'returned', 'declined', 'expired', 'cancelled', 'passed')),
    key text collate "C" not null,
    from_id uuid not null,
    by_id uuid not null,
    reason text not null,
    summary text not null,
    created_at timestamptz not null,
    due_at timestamptz,
    held_s double precision,
    claimed_by uuid,
    claimed_at timestamptz,
    ended_at timestamptz,
    note text not null default '',
    seq bigint not null,
    primary key (org_id, id),
    foreign key (org_id, conversation_id) references messaging.conversations (org_id, id),
    constraint handoffs_end check ((ended_at is null) = (state in ('waiting', 'claimed'))),
    constraint handoffs_claim check (state <> 'claimed' or claimed_by is not null)
) with (fillfactor = 80);
comment on column messaging.handoffs.key is 'whom it is handed to: principal:<id>, role:<key> or grant:<resource>';
comment on column messaging.handoffs.seq is 'the last entry that tells of it';
call messaging.tenant_table('handoffs', 'select, insert, update');
create unique index handoffs_active on messaging.handoffs (org_id, conversation_id, state) where state in ('waiting', 'claimed');
create index handoffs_of on messaging.handoffs (org_id, conversation_id, id);
-- What waits for somebody, what somebody has claimed, and what is due in any org.
create index handoffs_queue on messaging.handoffs (org_id, key, id) where state = 'waiting';
create index handoffs_claimed on messaging.handoffs (org_id, claimed_by, id) where claimed_by is not null;
create index handoffs_due on messaging.handoffs (due_at) where due_at is not null and state in ('waiting', 'claimed');
