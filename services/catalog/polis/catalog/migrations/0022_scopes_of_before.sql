-- Of what was activated before it was written down by what token, it is not known what that token could: its triggers go on
-- with what a member may do, and, as at each firing, no more than whoever activated them may by then.
alter table catalog.activations no force row level security;
update catalog.activations set scopes = '{catalog:read,catalog:write,identity:agents,identity:keys,identity:read,identity:secrets,messaging:control,messaging:read,messaging:write,runtime:answer,runtime:read,runtime:run,runtime:work}'
where scopes = '{}' and org_id <> '00000000-0000-0000-0000-000000000001';
alter table catalog.activations force row level security;
