-- What a session was opened with and from where, the second factor, forgotten passwords, mails, and the throttle of guesses.

alter table identity.sessions
    add column device text not null default '',
    add column address text not null default '',
    -- When and by what its person last proved who they are: `auth_time` and `amr` of its access tokens.
    add column proved_at timestamptz not null default 'epoch',
    add column proved_by text[] not null default '{pwd}';
-- A person's own list, by age: ids are UUIDv7.
drop index identity.sessions_account;
create index sessions_account on identity.sessions (account_id, id);

create table identity.totp (
    account_id uuid not null references identity.accounts (id) on delete cascade,
    sealed bytea not null,
    created_at timestamptz not null,
    -- Null until the first code has come: before that it is asked for at no sign-in.
    confirmed_at timestamptz,
    -- A code counts for one time step, and each step once: only later ones are taken.
    last_step bigint not null default 0,
    primary key (account_id)
);
comment on table identity.totp is 'global: a second factor belongs to a person, not to an org';

create table identity.recovery_codes (
    account_id uuid not null references identity.totp (account_id) on delete cascade,
    hash bytea not null check (octet_length(hash) = 32),
    primary key (account_id, hash)
);
comment on table identity.recovery_codes is 'global: a second factor belongs to a person, not to an org';

-- Sign-ins whose password was right and whose code has not come yet.
create table identity.tickets (
    hash bytea not null check (octet_length(hash) = 32),
    account_id uuid not null references identity.accounts (id) on delete cascade,
    -- The password that was verified; the ticket ends when it changes.
    password_of timestamptz not null,
    org_id uuid,
    expires_at timestamptz not null,
    primary key (hash)
);
comment on table identity.tickets is 'global: a person signs in before an org is known';
create index tickets_account on identity.tickets (account_id);
create index tickets_expiry on identity.tickets (expires_at);

create table identity.password_resets (
    token_hash bytea not null check (octet_length(token_hash) = 32),
    account_id uuid not null references identity.accounts (id) on delete cascade,
    expires_at timestamptz not null,
    primary key (token_hash)
);
comment on table identity.password_resets is 'global: a password belongs to a person, not to an org';
create index password_resets_account on identity.password_resets (account_id);
create index password_resets_expiry on identity.password_resets (expires_at);

-- Mails to write and to send. A forgotten password is written down for any address, whether an account has it or not,
-- so that asking takes as long; who sends looks that up.
create table identity.mails (
    id uuid not null,
    kind text collate "C" not null check (kind in ('password_reset', 'password_changed')),
    email text collate "C" not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    -- Null until its text is made and sealed.
    sealed bytea,
    due_at timestamptz not null,
    tries integer not null default 0,
    primary key (id)
);
comment on table identity.mails is 'global: mails go to people, before an org is known';
create index mails_due on identity.mails (due_at);
create index mails_expiry on identity.mails (expires_at);

-- Throttle of guesses, a row per account, address or second factor: when its bucket is full again (GCRA).
create table identity.guesses (
    -- Keyed hash of what is guessed at: an address that somebody mistyped a password into is not kept.
    bucket bytea not null check (octet_length(bucket) = 32),
    full_at timestamptz not null,
    primary key (bucket)
);
comment on table identity.guesses is 'global: guesses come before anybody is known';
create index guesses_full on identity.guesses (full_at);

grant select, insert, update, delete
    on identity.totp, identity.recovery_codes, identity.tickets, identity.password_resets, identity.mails, identity.guesses
    to identity_system;
