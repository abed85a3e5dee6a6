-- Every webhook is signed. One without a secret is posted to no more, and its owner is told so.
alter table messaging.notification_preferences no force row level security;
update messaging.notification_preferences set url = null, failed_at = now(),
    failure = 'It is signed from now on: give it a secret to be told there again. It was ' || left(url, 400)
where url is not null and secret_id is null;
alter table messaging.notification_preferences force row level security;
alter table messaging.notification_preferences drop constraint notification_preferences_secret;
alter table messaging.notification_preferences add constraint notification_preferences_signed
    check ((url is null) = (secret_id is null));
