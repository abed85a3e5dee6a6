-- Who gave the value: what it may be sent to is theirs to say, or of who manages members. Of older ones whoever made the secret is taken for it.
alter table identity.secret_values add column given_by uuid;
