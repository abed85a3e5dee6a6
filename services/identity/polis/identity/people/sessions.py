"""Sessions, the rotation of their refresh tokens, and the session ids whose access tokens are refused.

A session is a family of refresh tokens of which one is unused. Two ids: `id` is the family's and stays, `sid` is in its access
tokens. Ending tokens is ending a sid: a session whose user's roles changed goes on under another one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.tokens.opaque import digest, mint
from polis.proto.identity import OpenSession, Proof, Revocation, SessionEnded
from polis.service.tokens import SKEW_S

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.identity.config import Config
    from polis.service import Actor
    from polis.service.context import Client

REVOCATIONS_PAGE = 5_000
"""Some 0.5 MB of JSON: a page fits into one bus message."""


class Session(Struct, frozen=True):
    """A live session."""

    id: UUID
    account_id: UUID
    current_org: UUID
    sid: UUID
    expires_at: datetime
    proved_at: datetime
    proved_by: tuple[Proof, ...]


class Opened(Struct, frozen=True):
    """A session with its refresh token, which is not stored."""

    session: Session
    refresh_token: str


class Outcome(Enum):
    """What becomes of a refresh token that was presented."""

    UNUSED = "unused"
    RACED = "raced"
    REUSED = "reused"
    EXPIRED = "expired"


class _Token(Struct, frozen=True):
    expires_at: datetime
    used_since: timedelta | None


async def open_session(
    tx: Transaction,
    account_id: UUID,
    org_id: UUID,
    config: Config,
    *,
    session_id: UUID,
    sid: UUID,
    client: Client,
    proved_by: tuple[Proof, ...],
    at: datetime,
) -> Opened:
    session = Session(session_id, account_id, org_id, sid, at + config.session_max, at, proved_by)
    await tx.execute(
        """
        insert into identity.sessions
            (id, account_id, current_org, sid, created_at, renewed_at, expires_at, device, address, proved_at, proved_by)
        values ($1, $2, $3, $4, $5, $5, $6, $7, $8, $5, $9)
        """,
        session.id,
        session.account_id,
        session.current_org,
        session.sid,
        at,
        session.expires_at,
        client.device,
        client.address,
        list(proved_by),
    )
    return Opened(session, await _add_token(tx, session, config, at))


async def list_of(
    tx: Transaction, account_id: UUID, sid: UUID, at: datetime, *, before: UUID | None, limit: int
) -> list[OpenSession]:
    """Open sessions of an account, the newest first; the one of `sid` is the current one."""
    return await tx.rows(
        OpenSession,
        """
        select id, device, address, created_at as opened_at, renewed_at, expires_at, proved_by, sid = $2 as current
        from identity.sessions
        where account_id = $1 and expires_at > $3 and id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        order by id desc
        limit $5
        """,
        account_id,
        sid,
        at,
        before,
        limit,
    )


async def addresses(tx: Transaction, account_id: UUID, at: datetime) -> frozenset[str]:
    """Where an account is signed in."""
    found = await tx.value(
        "select array_agg(distinct address) from identity.sessions where account_id = $1 and expires_at > $2",
        account_id,
        at,
    )
    return frozenset(found) if isinstance(found, list) else frozenset()


async def prove(
    tx: Transaction, sid: UUID, account_id: UUID, how: tuple[Proof, ...], at: datetime
) -> Session | None:
    """Note that the person of a live session proved again who they are; None when it has ended."""
    return await tx.row(
        Session,
        """
        update identity.sessions
        set proved_at = $4, proved_by = array(select distinct unnest(proved_by || $3::text[]) order by 1 desc)
        where sid = $1 and account_id = $2
        returning id, account_id, current_org, sid, expires_at, proved_at, proved_by
        """,
        sid,
        account_id,
        list(how),
        at,
    )


async def end_surplus(tx: Transaction, account_id: UUID, org_id: UUID, config: Config, at: datetime) -> None:
    """End the sessions of an account that are more than it may have: those that were renewed longest ago."""
    ended = await tx.rows(
        _Sid,
        """
        delete from identity.sessions
        where id in (
            select s.id from identity.sessions s
            where s.id in (
                select id from identity.sessions where account_id = $1 order by renewed_at desc, id offset $2
            )
            for update skip locked
        )
        returning sid
        """,
        account_id,
        config.sessions_per_account,
    )
    for session in ended:
        await revoke(tx, org_id, session.sid, config, at)


async def lock(tx: Transaction, refresh_token: str) -> Session | None:
    """The active session that a refresh token belongs to, locked: of concurrent refreshes one goes on at a time.

    The session first and then its tokens, like everybody who locks both, or two would wait for each other.
    """
    return await tx.row(
        Session,
        """
        select s.id, s.account_id, s.current_org, s.sid, s.expires_at, s.proved_at, s.proved_by
        from identity.sessions s
        join identity.accounts a on a.id = s.account_id and a.suspended_at is null
        where s.id = (select t.session_id from identity.refresh_tokens t where t.hash = $1)
        for update of s
        """,
        digest(refresh_token),
    )


async def judge(
    tx: Transaction, refresh_token: str, session: Session, config: Config, at: datetime
) -> Outcome:
    """What a token of a locked session is worth. A statement of its own, so that it sees what the lock waited for.

    The grace is measured by the database's clock: two replicas' may differ by more than it.
    """
    token = await tx.row(
        _Token,
        """
        select expires_at, clock_timestamp() - used_at as used_since
        from identity.refresh_tokens
        where hash = $1
        """,
        digest(refresh_token),
    )
    if token is None or min(token.expires_at, session.expires_at) <= at:
        return Outcome.EXPIRED
    if token.used_since is None:
        return Outcome.UNUSED
    return Outcome.RACED if token.used_since <= config.refresh_grace else Outcome.REUSED


async def expiry(tx: Transaction, refresh_token: str) -> datetime:
    """When a token that is worth something ends by itself, which is before its session does."""
    expires_at: datetime = await tx.value(
        "select expires_at from identity.refresh_tokens where hash = $1", digest(refresh_token)
    )
    return expires_at


async def rotate(
    tx: Transaction, refresh_token: str, session: Session, config: Config, *, client: Client, at: datetime
) -> Opened:
    """Use a token of a locked session up, for its successor; the session is where its client is now."""
    await tx.execute(
        "update identity.refresh_tokens set used_at = clock_timestamp() where hash = $1 and used_at is null",
        digest(refresh_token),
    )
    await tx.execute(
        """
        update identity.sessions
        set renewed_at = $2, current_org = $3,
            address = coalesce(nullif($4, ''), address), device = coalesce(nullif($5, ''), device)
        where id = $1
        """,
        session.id,
        at,
        session.current_org,
        client.address,
        client.device,
    )
    return Opened(session, await _add_token(tx, session, config, at))


async def switch(tx: Transaction, sid: UUID, account_id: UUID, org_id: UUID) -> Session | None:
    """Point a live session to another org; None when it has ended."""
    return await tx.row(
        Session,
        """
        update identity.sessions set current_org = $3
        where sid = $1 and account_id = $2
        returning id, account_id, current_org, sid, expires_at, proved_at, proved_by
        """,
        sid,
        account_id,
        org_id,
    )


async def live(tx: Transaction, sid: UUID, account_id: UUID) -> Session | None:
    return await tx.row(
        Session,
        """
        select id, account_id, current_org, sid, expires_at, proved_at, proved_by
        from identity.sessions
        where sid = $1 and account_id = $2
        """,
        sid,
        account_id,
    )


async def end(tx: Transaction, session: Session, config: Config, at: datetime) -> None:
    """End a session with its refresh tokens, and tell everybody to refuse its access tokens."""
    await tx.execute("delete from identity.sessions where id = $1", session.id)
    await revoke(tx, session.current_org, session.sid, config, at)


async def end_own(tx: Transaction, actor: Actor, config: Config, at: datetime) -> None:
    """As `end`, of the session that the actor's token names; nothing when it has ended already."""
    sid = await tx.value(
        "delete from identity.sessions where sid = $1 and account_id = $2 returning sid",
        actor.session_id,
        actor.principal_id,
    )
    if sid is not None:
        await revoke(tx, actor.org_id, sid, config, at)


async def end_one(
    tx: Transaction, account_id: UUID, session_id: UUID, config: Config, *, org_id: UUID, at: datetime
) -> bool:
    """End a session of an account by either of its ids; false when there is none."""
    sid = await tx.value(
        "delete from identity.sessions where account_id = $1 and $2 in (id, sid) returning sid",
        account_id,
        session_id,
    )
    if isinstance(sid, UUID):
        await revoke(tx, org_id, sid, config, at)
    return sid is not None


async def end_all(
    tx: Transaction, account_id: UUID, org_id: UUID, config: Config, at: datetime, *, but: UUID | None = None
) -> None:
    """End every session of an account, but the one of sid `but`.

    The account's lock keeps a sign-in with the old password from opening one behind our back.
    """
    await tx.value("select true from identity.accounts where id = $1 for no key update", account_id)
    ended = await tx.rows(
        _Sid,
        """
        delete from identity.sessions
        where account_id = $1 and ($2::uuid is null or sid <> $2)
        returning sid
        """,
        account_id,
        but,
    )
    for session in ended:
        await revoke(tx, org_id, session.sid, config, at)


async def revoke(tx: Transaction, org_id: UUID, sid: UUID, config: Config, at: datetime) -> None:
    """Have the access tokens of a session id refused in every service, until the last of them has expired."""
    until = at + config.access_ttl + timedelta(seconds=SKEW_S)
    await tx.execute(
        """
        insert into identity.revocations (sid, until) values ($1, $2)
        on conflict (sid) do update set until = excluded.until
        """,
        sid,
        until,
    )
    await tx.emit(SessionEnded(org_id, sid, until))


async def revocations(tx: Transaction, after: UUID | None, at: datetime) -> list[Revocation]:
    """A page of those that still count, by sid."""
    return await tx.rows(
        Revocation,
        """
        select sid as session_id, until
        from identity.revocations
        where until > $1 and sid > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
        order by sid
        limit $3
        """,
        at,
        after,
        REVOCATIONS_PAGE,
    )


class _Sid(Struct, frozen=True):
    sid: UUID


async def _add_token(tx: Transaction, session: Session, config: Config, at: datetime) -> str:
    token = mint("prt")
    await tx.execute(
        "insert into identity.refresh_tokens (hash, session_id, expires_at) values ($1, $2, $3)",
        token.hash,
        session.id,
        min(at + config.refresh_ttl, session.expires_at),
    )
    return token.secret
