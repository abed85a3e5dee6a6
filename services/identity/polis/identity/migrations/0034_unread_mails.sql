-- Mails to people for whom messages wait: how many, and in which conversation.

alter table identity.mails drop constraint mails_kind_check, drop constraint mails_about;
alter table identity.mails
    add constraint mails_kind_check check (kind in ('password_reset', 'password_changed', 'sign_up', 'ask', 'unread')),
    add constraint mails_about check ((about is not null) = (kind in ('ask', 'unread')));
comment on column identity.mails.about is
    'JSON: the ask, its org, whom it is for, and whether there is to be a link; or the conversation and how much is unread';
