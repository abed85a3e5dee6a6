-- A service made up for these tests: notes, their tags, and notes that everybody may read.

create table notebook.notes (
    org_id uuid not null,
    id uuid not null,
    title text not null,
    stars integer not null default 0 check (stars >= 0),
    labels text[] not null default '{}',
    about jsonb not null default '{}',
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    constraint notes_title unique (org_id, title)
);
create index notes_list on notebook.notes (org_id, created_at desc, id);
call notebook.tenant_table('notes');

create table notebook.tags (
    org_id uuid not null,
    note_id uuid not null,
    tag text not null,
    primary key (org_id, note_id, tag),
    foreign key (org_id, note_id) references notebook.notes (org_id, id) on delete cascade
);
call notebook.tenant_table('tags', 'select, insert, delete');

create table notebook.colours (
    name text primary key
);
comment on table notebook.colours is 'global: the same for all';
grant select on notebook.colours to app_notebook, notebook_system;
