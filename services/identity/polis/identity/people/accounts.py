"""Rows of people and their passwords. An e-mail address is one account, however it is typed."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import UniqueViolation
from polis.proto import Refused, identity
from polis.proto.identity import Email, EmailTaken
from polis.proto.problems import Fault, Invalid

if TYPE_CHECKING:
    from polis.db import Transaction


class Account(Struct, frozen=True):
    """A person."""

    id: UUID
    email: str
    name: str


class Login(Struct, frozen=True):
    """What a sign-in is checked against."""

    id: UUID
    name: str
    hash: str
    changed_at: datetime
    active: bool
    has_totp: bool
    email: str


class Delegation(Struct, frozen=True):
    """The session id of tokens by which services act for a member of an org."""

    org_id: UUID
    sid: UUID


def normal(email: str) -> str | None:
    """The one spelling of an address: NFKC, lower case, trimmed; None when that is no address."""
    spelled = unicodedata.normalize("NFKC", email).strip().lower()
    try:
        return msgspec.convert(spelled, Email)
    except msgspec.ValidationError:
        return None


def demand_normal(email: str) -> str:
    """As `normal`; Refused(Invalid) when it is no address after all (a full-width `@` becomes a second one)."""
    spelled = normal(email)
    if spelled is None:
        raise Refused(Invalid(faults=(Fault(pointer="/email", detail="Expected an e-mail address"),)))
    return spelled


async def create(tx: Transaction, account: Account, password_hash: str, at: datetime) -> None:
    """Refused(EmailTaken)."""
    try:
        await tx.execute(
            """
            with account as (
                insert into identity.accounts (id, email, name, created_at)
                values ($1, $2, $3, $5)
                returning id
            )
            insert into identity.passwords (account_id, hash, changed_at)
            select id, $4, $5 from account
            """,
            account.id,
            account.email,
            account.name,
            password_hash,
            at,
        )
    except UniqueViolation as violation:
        if violation.constraint != "accounts_email":
            raise
        raise Refused(EmailTaken(email=account.email)) from None


async def login(tx: Transaction, email: str | None) -> Login | None:
    return await tx.row(
        Login,
        """
        select a.id, a.name, p.hash, p.changed_at, a.suspended_at is null as active,
            exists (select from identity.totp t where t.account_id = a.id and t.confirmed_at is not null) as has_totp,
            a.email
        from identity.accounts a
        join identity.passwords p on p.account_id = a.id
        where a.email = $1
        """,
        email,
    )


async def login_of(tx: Transaction, account_id: UUID) -> Login | None:
    """As `login`, of an account that is known."""
    email = await tx.value("select email from identity.accounts where id = $1", account_id)
    return await login(tx, email) if isinstance(email, str) else None


async def still(tx: Transaction, login: Login) -> bool:
    """Whether what was verified outside of this transaction still holds; it will until the transaction ends."""
    found = await tx.value(
        """
        select true
        from identity.accounts a
        join identity.passwords p on p.account_id = a.id
        where a.id = $1 and a.suspended_at is null and p.changed_at = $2
        for share
        """,
        login.id,
        login.changed_at,
    )
    return found is not None


async def lock(tx: Transaction, account_id: UUID) -> Account | None:
    """An active account, locked before anything else of it: whoever changes what proves a person goes one at a time."""
    return await tx.row(
        Account,
        """
        select id, email, name from identity.accounts
        where id = $1 and suspended_at is null
        for no key update
        """,
        account_id,
    )


async def change_password(
    tx: Transaction, account_id: UUID, password_hash: str, at: datetime, *, was: datetime | None = None
) -> bool:
    """Give a locked account another password; nothing that was to prove the old one counts any longer.

    was: when the password was set that was verified; false when it has been changed since.
    """
    changed = await tx.execute(
        """
        update identity.passwords set hash = $2, changed_at = $3
        where account_id = $1 and ($4::timestamptz is null or changed_at = $4)
        """,
        account_id,
        password_hash,
        at,
        was,
    )
    await tx.execute("delete from identity.password_resets where account_id = $1", account_id)
    await tx.execute("delete from identity.tickets where account_id = $1", account_id)
    return bool(changed)


async def offer_reset(tx: Transaction, account_id: UUID, token_hash: bytes, until: datetime) -> None:
    """The one link that resets an account's password from now on."""
    await tx.execute("delete from identity.password_resets where account_id = $1", account_id)
    await tx.execute(
        "insert into identity.password_resets (token_hash, account_id, expires_at) values ($1, $2, $3)",
        token_hash,
        account_id,
        until,
    )


async def whose_reset(tx: Transaction, token_hash: bytes, at: datetime) -> UUID | None:
    """The account that a link is for; None when it is not valid, or not any more."""
    found = await tx.value(
        "select account_id from identity.password_resets where token_hash = $1 and expires_at > $2",
        token_hash,
        at,
    )
    return found if isinstance(found, UUID) else None


async def use_reset(tx: Transaction, token_hash: bytes, at: datetime) -> bool:
    """Use a link of a locked account up. A statement of its own, so that it sees what the lock waited for."""
    return bool(
        await tx.execute(
            "delete from identity.password_resets where token_hash = $1 and expires_at > $2", token_hash, at
        )
    )


async def known(
    tx: Transaction, email: str | None, before: UUID | None, limit: int
) -> list[identity.Account]:
    """Accounts as administrators see them, the newest first."""
    return await tx.rows(
        identity.Account,
        """
        select id, email, name, created_at, suspended_at,
            exists (select from identity.administrators d where d.account_id = id) as administrator
        from identity.accounts
        where ($1::text is null or email = $1) and id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        order by id desc
        limit $3
        """,
        email,
        before,
        limit,
    )


async def known_by_id(tx: Transaction, account_id: UUID) -> identity.Account | None:
    email = await tx.value("select email from identity.accounts where id = $1", account_id)
    found = await known(tx, email, None, 1) if isinstance(email, str) else []
    return found[0] if found else None


async def suspend(tx: Transaction, account_id: UUID, at: datetime | None) -> identity.Account | None:
    """Suspend an account since `at`, or not any longer; None when there is none. Who is suspended stays so since then."""
    return await tx.row(
        identity.Account,
        """
        update identity.accounts set suspended_at = case when $2::timestamptz is null then null else coalesce(suspended_at, $2) end
        where id = $1
        returning id, email, name, created_at, suspended_at,
            exists (select from identity.administrators d where d.account_id = id) as administrator
        """,
        account_id,
        at,
    )


async def renew_delegations(tx: Transaction, account_id: UUID) -> list[Delegation]:
    """Give an account's memberships other session ids; the old ones are the caller's to revoke."""
    return await tx.rows(
        Delegation,
        "update identity.memberships set sid = uuidv7() where account_id = $1 returning org_id, old.sid",
        account_id,
    )


async def rehash(tx: Transaction, login: Login, password_hash: str) -> None:
    """Store the same password under other parameters: no change of password."""
    await tx.execute(
        "update identity.passwords set hash = $2 where account_id = $1 and changed_at = $3",
        login.id,
        password_hash,
        login.changed_at,
    )


async def find(tx: Transaction, account_id: UUID) -> Account | None:
    return await tx.row(Account, "select id, email, name from identity.accounts where id = $1", account_id)
