-- Files: announced (uploads), arriving (parts), stored (artifacts), their bytes (chunks), and how much an org holds.

-- Reserved when an upload is announced, released when it expires or its artifact is deleted: a limit holds under any
-- concurrency because the row is changed only by an update that names the limit.
create table catalog.storage (
    org_id uuid not null,
    stored_bytes bigint not null check (stored_bytes >= 0),
    open_uploads integer not null check (open_uploads >= 0),
    primary key (org_id)
);

create table catalog.uploads (
    org_id uuid not null,
    id uuid not null,
    created_by uuid not null,
    name text not null,
    media_type text not null,
    size bigint not null check (size >= 0),
    sha256 text collate "C",
    part_bytes integer not null check (part_bytes > 0),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (org_id, id)
);
-- The sweep looks for expired uploads of all orgs at once.
create index uploads_expiry on catalog.uploads (expires_at);

create table catalog.parts (
    org_id uuid not null,
    upload_id uuid not null,
    number integer not null check (number >= 0),
    size integer not null check (size > 0),
    primary key (org_id, upload_id, number),
    foreign key (org_id, upload_id) references catalog.uploads (org_id, id) on delete cascade
);

create table catalog.artifacts (
    org_id uuid not null,
    id uuid not null,
    blob_id uuid not null,
    part_bytes integer not null check (part_bytes > 0),
    name text not null,
    media_type text not null,
    size bigint not null check (size >= 0),
    sha256 text collate "C" not null check (length(sha256) = 64),
    created_by uuid not null,
    created_at timestamptz not null,
    primary key (org_id, id)
);
create index artifacts_newest on catalog.artifacts (org_id, created_at desc, id desc);

-- The bytes, one row per part, known by `blob_id` alone so that another place for them (S3, an object store) needs no
-- other table to change, and two artifacts may share one blob some day.
create table catalog.chunks (
    org_id uuid not null,
    blob_id uuid not null,
    number integer not null check (number >= 0),
    content bytea not null,
    primary key (org_id, blob_id, number)
);
-- Files are mostly compressed already: trying again costs a CPU second per 100 MB and gains nothing.
alter table catalog.chunks alter column content set storage external;

call catalog.tenant_table('storage', 'select, insert, update');
call catalog.tenant_table('uploads');
call catalog.tenant_table('parts', 'select, insert');
call catalog.tenant_table('artifacts', 'select, insert, delete');
call catalog.tenant_table('chunks');
