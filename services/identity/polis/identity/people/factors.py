"""Rows of second factors, and the tickets of sign-ins that wait for a code."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.people import totp
from polis.identity.seal import OtherSecret
from polis.identity.tokens.opaque import digest, mint
from polis.proto import Refused
from polis.proto.identity import SecondFactor, TotpActive, TotpNotFound
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.identity.seal import Seal

_RECOVERY_CODES = 10
_RECOVERY_BYTES = 10
"""80 random bits: nothing to guess that a slow hash would protect."""
_GROUP = 4
_TICKET_TTL = timedelta(minutes=5)


class Ticket(Struct, frozen=True):
    """A sign-in whose password was right."""

    account_id: UUID
    password_of: datetime
    org_id: UUID | None


class _Totp(Struct, frozen=True):
    sealed: bytes
    last_step: int


async def enrol(tx: Transaction, seal: Seal, account_id: UUID, at: datetime) -> bytes:
    """The secret of a second factor that waits for its first code. Refused(TotpActive) when there is one that counts."""
    secret = totp.new_secret()
    stored = await tx.execute(
        """
        insert into identity.totp as t (account_id, sealed, created_at) values ($1, $2, $3)
        on conflict (account_id) do update
        set sealed = excluded.sealed, created_at = excluded.created_at, last_step = 0
        where t.confirmed_at is null
        """,
        account_id,
        seal.close(str(account_id), secret),
        at,
    )
    if not stored:
        raise Refused(TotpActive())
    return secret


async def confirm(tx: Transaction, seal: Seal, account_id: UUID, code: str, at: datetime) -> bool:
    """Have the second factor count from its first code on. Refused(TotpNotFound) when none waits for one."""
    waiting = await _totp(tx, account_id, confirmed=False)
    if waiting is None:
        raise Refused(TotpNotFound())
    if not await _use_step(tx, seal, account_id, waiting, code=code, at=at):
        return False
    await tx.execute("update identity.totp set confirmed_at = $2 where account_id = $1", account_id, at)
    return True


async def use(tx: Transaction, seal: Seal, account_id: UUID, code: str, at: datetime) -> bool:
    """Use a code or a recovery code up; false when it does not fit, was used, or nothing is set up."""
    active = await _totp(tx, account_id, confirmed=True)
    if active is None:
        return False
    if await _use_step(tx, seal, account_id, active, code=code, at=at):
        return True
    used = await tx.execute(
        "delete from identity.recovery_codes where account_id = $1 and hash = $2",
        account_id,
        _recovery_hash(account_id, code),
    )
    return bool(used)


async def remove(tx: Transaction, account_id: UUID) -> None:
    """Refused(TotpNotFound)."""
    if not await tx.execute("delete from identity.totp where account_id = $1", account_id):
        raise Refused(TotpNotFound())
    await tx.execute(
        "update identity.sessions set proved_by = array_remove(proved_by, 'otp') where account_id = $1",
        account_id,
    )


async def state_of(tx: Transaction, account_id: UUID) -> SecondFactor:
    found = await tx.row(
        SecondFactor,
        """
        select t.confirmed_at as since,
            (select count(*) from identity.recovery_codes r where r.account_id = t.account_id) as recovery_codes_left
        from identity.totp t
        where t.account_id = $1 and t.confirmed_at is not null
        """,
        account_id,
    )
    return found or SecondFactor()


async def new_recovery_codes(tx: Transaction, account_id: UUID) -> tuple[str, ...]:
    """Replace the recovery codes. Refused(TotpNotFound) where there is no second factor that they would stand in for."""
    if await _totp(tx, account_id, confirmed=True) is None:
        raise Refused(TotpNotFound())
    codes = tuple(_recovery_code() for _ in range(_RECOVERY_CODES))
    await tx.execute("delete from identity.recovery_codes where account_id = $1", account_id)
    await tx.execute(
        "insert into identity.recovery_codes (account_id, hash) select $1, unnest($2::bytea[])",
        account_id,
        [_recovery_hash(account_id, code) for code in codes],
    )
    return codes


async def open_ticket(
    tx: Transaction, account_id: UUID, password_of: datetime, org_id: UUID | None, at: datetime
) -> str:
    token = mint("pst")
    await tx.execute(
        """
        insert into identity.tickets (hash, account_id, password_of, org_id, expires_at)
        values ($1, $2, $3, $4, $5)
        """,
        token.hash,
        account_id,
        password_of,
        org_id,
        at + _TICKET_TTL,
    )
    return token.secret


async def account_of(tx: Transaction, ticket: str, at: datetime) -> UUID | None:
    """Whose sign-in a ticket is; None when it is not valid, or not any more."""
    found = await tx.value(
        "select account_id from identity.tickets where hash = $1 and expires_at > $2", digest(ticket), at
    )
    return found if isinstance(found, UUID) else None


async def lock_ticket(tx: Transaction, ticket: str, at: datetime) -> Ticket | None:
    return await tx.row(
        Ticket,
        """
        select account_id, password_of, org_id from identity.tickets
        where hash = $1 and expires_at > $2
        for update
        """,
        digest(ticket),
        at,
    )


async def use_ticket(tx: Transaction, ticket: str) -> None:
    await tx.execute("delete from identity.tickets where hash = $1", digest(ticket))


async def _totp(tx: Transaction, account_id: UUID, *, confirmed: bool) -> _Totp | None:
    """Locked: of two who use one code at once, one is too late."""
    return await tx.row(
        _Totp,
        """
        select sealed, last_step from identity.totp
        where account_id = $1 and (confirmed_at is not null) = $2
        for update
        """,
        account_id,
        confirmed,
    )


async def _use_step(
    tx: Transaction, seal: Seal, account_id: UUID, stored: _Totp, *, code: str, at: datetime
) -> bool:
    try:
        secret = seal.open(str(account_id), stored.sealed)
    except OtherSecret:  # recovery codes still hold
        log.warning("totp.unreadable", account_id=str(account_id))
        return False
    step = totp.step_of(secret, code.replace(" ", ""), at.timestamp())
    if step is None or step <= stored.last_step:
        return False
    await tx.execute("update identity.totp set last_step = $2 where account_id = $1", account_id, step)
    return True


def _recovery_code() -> str:
    letters = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()
    return "-".join(letters[n : n + _GROUP] for n in range(0, len(letters), _GROUP))


def _recovery_hash(account_id: UUID, code: str) -> bytes:
    """Bound to the account, so that equal codes of two are not equal hashes; however they are typed."""
    plain = "".join(c for c in code.lower() if c.isalnum())
    return hashlib.sha256(account_id.bytes + plain.encode()).digest()
