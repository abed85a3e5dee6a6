-- Change sets: what is proposed, and, once it is applied, how everything was before.

create table catalog.change_sets (
    org_id uuid not null,
    id uuid not null,
    title text not null,
    status text collate "C" not null default 'open'
        check (status in ('open', 'approved', 'rejected', 'applied', 'undone')),
    review boolean not null,
    private boolean not null default false,
    size integer not null default 0 check (size >= 0),
    bytes bigint not null default 0 check (bytes >= 0),
    created_by uuid not null,
    created_at timestamptz not null,
    reviewed_by uuid,
    reviewed_at timestamptz,
    review_note text not null default '',
    applied_by uuid,
    applied_at timestamptz,
    undone_by uuid,
    undone_at timestamptz,
    primary key (org_id, id)
);
create index change_sets_newest on catalog.change_sets (org_id, created_at desc, id desc);

create table catalog.changes (
    org_id uuid not null,
    set_id uuid not null,
    n integer not null check (n > 0),
    change text not null,
    primary key (org_id, set_id, n),
    foreign key (org_id, set_id) references catalog.change_sets (org_id, id) on delete cascade
);

-- One row for every resource that an applied set touched. `before` makes it as it was (null: it was not there);
-- `after` is the digest of what the set made of it (null: it is gone), by which a later change is noticed.
create table catalog.effects (
    org_id uuid not null,
    set_id uuid not null,
    type text collate "C" not null,
    key text collate "C" not null,
    before text,
    after text collate "C",
    primary key (org_id, set_id, type, key),
    foreign key (org_id, set_id) references catalog.change_sets (org_id, id) on delete cascade
);

call catalog.tenant_table('change_sets');
call catalog.tenant_table('changes', 'select, insert');
call catalog.tenant_table('effects', 'select, insert');
