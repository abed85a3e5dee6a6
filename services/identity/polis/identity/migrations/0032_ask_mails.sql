-- Mails to people who are asked something: what about, so that the text, and a link to answer by, is made when it is written.

alter table identity.mails drop constraint mails_kind_check;
alter table identity.mails
    add column about bytea,
    add constraint mails_kind_check check (kind in ('password_reset', 'password_changed', 'sign_up', 'ask')),
    add constraint mails_about check ((about is not null) = (kind = 'ask'));
comment on column identity.mails.about is 'JSON: the ask, its org and whom it is for, by their ids, and whether there is to be a link';
