-- What is started by an active version alone may do no more than the token could that activated it, be it a narrowed key's.

alter table catalog.activations add column scopes text[] collate "C" not null default '{}';
comment on column catalog.activations.scopes is 'what whoever activated it could do by the token that they did it with';
