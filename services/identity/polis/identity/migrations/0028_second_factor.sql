-- Whether those who manage an org need a second factor for it.

alter table identity.orgs add column second_factor boolean not null default false;
