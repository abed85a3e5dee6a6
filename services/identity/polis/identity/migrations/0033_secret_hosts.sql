-- Where a secret may be sent; to wherever it is used, where none is named.
alter table identity.secrets add column hosts text[] not null default '{}';
