-- What may be set aside at identity for an upload that is not open yet: opening it takes the row away, and what is left of
-- those who died in between is settled by the sweep.

create table catalog.intents (
    org_id uuid not null,
    upload_id uuid not null,
    lapses_at timestamptz not null,
    primary key (org_id, upload_id)
);
create index intents_lapsed on catalog.intents (lapses_at);
call catalog.tenant_table('intents');
