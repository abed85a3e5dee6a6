-- Files of the same content in one org share their bytes; and a file is seen by whom it was stored for.

alter table catalog.artifacts
    add column visibility text not null default 'org' check (visibility in ('private', 'org', 'public'));
alter table catalog.uploads
    add column visibility text not null default 'org' check (visibility in ('private', 'org', 'public'));
comment on table catalog.artifacts is 'tenant, public_read: rows with visibility public are readable by every org';
create policy public_read on catalog.artifacts for select to app_catalog using (visibility = 'public');
create index artifacts_public_id on catalog.artifacts (id) where visibility = 'public';
grant update on catalog.artifacts to app_catalog;

-- `refs` counts the artifacts of a content. The last one takes the bytes along: whoever counts holds the row's lock.
-- Shared within an org alone: whether another org has a file must not be told by how fast an upload is.
create table catalog.blobs (
    org_id uuid not null,
    id uuid not null,
    sha256 text collate "C" not null check (length(sha256) = 64),
    size bigint not null check (size >= 0),
    part_bytes integer not null check (part_bytes > 0),
    refs integer not null check (refs >= 0),
    primary key (org_id, id),
    constraint blobs_content unique (org_id, sha256, size)
);

-- What is stored already is counted, and pointed to one of the blobs that are the same; the bytes of the others go.
alter table catalog.artifacts no force row level security;
alter table catalog.uploads no force row level security;
alter table catalog.chunks no force row level security;
insert into catalog.blobs (org_id, id, sha256, size, part_bytes, refs)
select distinct on (a.org_id, a.sha256, a.size) a.org_id, a.blob_id, a.sha256, a.size, a.part_bytes,
    count(*) over (partition by a.org_id, a.sha256, a.size)
from catalog.artifacts a
order by a.org_id, a.sha256, a.size, a.created_at, a.blob_id;
update catalog.artifacts a set blob_id = b.id, part_bytes = b.part_bytes
from catalog.blobs b
where b.org_id = a.org_id and b.sha256 = a.sha256 and b.size = a.size and b.id <> a.blob_id;
delete from catalog.chunks c
where not exists (select from catalog.blobs b where b.org_id = c.org_id and b.id = c.blob_id)
    and not exists (select from catalog.uploads u where u.org_id = c.org_id and u.id = c.blob_id);
alter table catalog.artifacts force row level security;
alter table catalog.uploads force row level security;
alter table catalog.chunks force row level security;

call catalog.tenant_table('blobs');
