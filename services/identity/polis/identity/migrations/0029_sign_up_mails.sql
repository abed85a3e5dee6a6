-- Mails to addresses that sign up: with the link that goes on, or saying that there is an account.

alter table identity.mails drop constraint mails_kind_check;
alter table identity.mails
    add constraint mails_kind_check check (kind in ('password_reset', 'password_changed', 'sign_up'));
