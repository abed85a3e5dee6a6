-- Asks: what runs wait for from people, whom they are addressed to, votes, links, and approvals that were given for always.

-- An ask has the id of the wait that it is. `spec` is what is asked, as the step made it; `answer` what came of it.
create table runtime.asks (
    org_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    graph text collate "C" not null,
    actor_id uuid not null,
    started_by uuid not null,
    node text collate "C" not null,
    item text collate "C" not null,
    kind text collate "C" not null,
    state text collate "C" not null check (state in ('open', 'answered', 'expired', 'withdrawn')),
    title text not null,
    verb text not null,
    subject text not null,
    no_self boolean not null,
    spec bytea not null,
    opened_at timestamptz not null,
    due_at timestamptz,
    next_at timestamptz,
    reminded integer not null default 0,
    escalated integer not null default 0,
    ended_at timestamptz,
    answer bytea,
    primary key (org_id, id),
    foreign key (org_id, run_id) references runtime.runs (org_id, id) on delete cascade,
    constraint asks_end check ((ended_at is not null) = (state <> 'open')),
    constraint asks_answer check ((answer is not null) = (state = 'answered'))
) with (fillfactor = 85);
comment on column runtime.asks.actor_id is 'whom the run acts as; with started_by those whom no_self keeps from answering';
comment on column runtime.asks.next_at is 'when those it is addressed to are reminded next, or others are added';
call runtime.tenant_table('asks', 'select, insert, update');
-- When a run ends, its open asks are withdrawn; what is due next is looked for across orgs.
create index asks_open_by_run on runtime.asks (org_id, run_id) where state = 'open';
create index asks_open_by_next on runtime.asks (next_at) where state = 'open' and next_at is not null;

-- Whom an ask is addressed to, one row each: `principal:<id>`, `role:<key>`, `grant:<resource>`. An inbox is one scan of
-- the index for each way in which somebody is addressed.
create table runtime.ask_addressees (
    org_id uuid not null,
    ask_id uuid not null,
    key text collate "C" not null,
    open boolean not null,
    added_by uuid,
    primary key (org_id, ask_id, key),
    foreign key (org_id, ask_id) references runtime.asks (org_id, id) on delete cascade
);
comment on column runtime.ask_addressees.added_by is 'who handed the ask on to them; null: the graph says so';
call runtime.tenant_table('ask_addressees');
create index ask_addressees_inbox on runtime.ask_addressees (org_id, open, key, ask_id);

create table runtime.ask_votes (
    org_id uuid not null,
    ask_id uuid not null,
    principal_id uuid not null,
    decision text collate "C" not null,
    via text collate "C" not null,
    at timestamptz not null,
    primary key (org_id, ask_id, principal_id),
    foreign key (org_id, ask_id) references runtime.asks (org_id, id) on delete cascade
);
call runtime.tenant_table('ask_votes', 'select, insert');

-- Links by which somebody answers without a session. Only the hash of a link's token is kept.
create table runtime.ask_links (
    org_id uuid not null,
    hash bytea not null,
    ask_id uuid not null,
    principal_id uuid not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    primary key (org_id, hash),
    foreign key (org_id, ask_id) references runtime.asks (org_id, id) on delete cascade
);
call runtime.tenant_table('ask_links', 'select, insert, update');

-- Approvals that stand: of a graph or of an agent, for a verb and a pattern of subjects, where an ask is addressed to `key`.
create table runtime.approvals (
    org_id uuid not null,
    id uuid not null,
    graph text collate "C",
    agent_id uuid,
    verb text not null,
    subject text not null,
    key text collate "C" not null,
    given_by uuid not null,
    given_at timestamptz not null,
    primary key (org_id, id),
    constraint approvals_of check ((graph is null) <> (agent_id is null))
);
call runtime.tenant_table('approvals');
create unique index approvals_once on runtime.approvals (org_id, verb, subject, key, given_by, graph, agent_id) nulls not distinct;
create index approvals_by_giver on runtime.approvals (org_id, given_by, id);
