"""Rows of people and their passwords. An e-mail address is one account, however it is typed."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import UniqueViolation
from polis.proto import Refused
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
        select a.id, a.name, p.hash, p.changed_at, a.suspended_at is null as active
        from identity.accounts a
        join identity.passwords p on p.account_id = a.id
        where a.email = $1
        """,
        email,
    )


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
