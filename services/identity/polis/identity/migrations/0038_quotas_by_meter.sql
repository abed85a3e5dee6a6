-- The gateway asks which orgs have quotas of a meter, page by page.
create index quotas_by_meter on identity.quotas (meter, id);
