"""Removes what has expired, a bounded number of rows at a time, for as long as the service runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.identity.access import usages
from polis.identity.tokens.keys import utc_now
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from datetime import datetime

    from polis.db import Database
    from polis.identity.config import Config

_ROWS = 1_000
"""Deleted in one statement, so that no lock is held for long."""
_SESSIONS = """
    delete from identity.sessions where id in (
        select id from identity.sessions where expires_at <= $1 limit $2
    )
"""
UNUSED = """
    delete from identity.sessions where id in (
        -- In other words than the index of unused tokens has, which holds one of every session.
        select session_id from identity.refresh_tokens
        where expires_at <= $1 and num_nulls(used_at) = 1
        order by expires_at
        limit $2
    )
"""
"""Those whose one unused token has expired: nothing renews them. Their used ones are older, and go along."""
_TOKENS = """
    delete from identity.refresh_tokens where hash in (
        select hash from identity.refresh_tokens where expires_at <= $1 limit $2
    )
"""
_REVOCATIONS = """
    delete from identity.revocations where sid in (
        select sid from identity.revocations where until <= $1 limit $2
    )
"""
_INVITATIONS = """
    delete from identity.invitations where (org_id, id) in (
        select org_id, id from identity.invitations where expires_at <= $1 limit $2
    )
"""
_CREDENTIALS = """
    delete from identity.credentials where (org_id, id) in (
        select org_id, id from identity.credentials where expires_at <= $1 limit $2
    )
"""
_KEYS = """
    delete from identity.api_keys where (org_id, id) in (
        select org_id, id from identity.api_keys where expires_at <= $1 limit $2
    )
"""
_GRANTS = """
    delete from identity.grants where (org_id, id) in (
        select org_id, id from identity.grants where expires_at <= $1::timestamptz - interval '30 days' limit $2
    )
"""
"""Kept for a while, so that a refusal can be explained by what has expired."""
_RESERVATIONS = """
    delete from identity.reservations where (org_id, id) in (
        select org_id, id from identity.reservations where settled_at <= $1::timestamptz - interval '1 day' limit $2
    )
"""
_USAGES = """
    delete from identity.usages where (org_id, quota_id, starts_at) in (
        select org_id, quota_id, starts_at from identity.usages
        where starts_at > 'epoch' and starts_at <= $1::timestamptz - interval '400 days'
        limit $2
    )
"""
_TICKETS = """
    delete from identity.tickets where hash in (
        select hash from identity.tickets where expires_at <= $1 limit $2
    )
"""
_RESETS = """
    delete from identity.password_resets where token_hash in (
        select token_hash from identity.password_resets where expires_at <= $1 limit $2
    )
"""
_MAILS = """
    delete from identity.mails where id in (
        select id from identity.mails where expires_at <= $1 limit $2
    )
"""
_GUESSES = """
    delete from identity.guesses where bucket in (
        select bucket from identity.guesses where full_at <= $1 limit $2
    )
"""
_OF_PEOPLE = (_TICKETS, _RESETS, _MAILS, _GUESSES)


async def sweep(database: Database, config: Config) -> None:
    """Sweep again and again."""
    await rounds("sweep", lambda: sweep_once(database, utc_now()), every_s=config.sweep_every_s)


async def sweep_once(database: Database, at: datetime) -> None:
    for statement in (
        _SESSIONS,
        UNUSED,
        _TOKENS,
        _REVOCATIONS,
        _INVITATIONS,
        _CREDENTIALS,
        _KEYS,
        _GRANTS,
        _RESERVATIONS,
        _USAGES,
        *_OF_PEOPLE,
    ):
        deleted = _ROWS
        while deleted == _ROWS:
            async with database.across_orgs() as tx:
                deleted = await tx.execute(statement, at, _ROWS)
    await settle_due(database, at)


async def settle_due(database: Database, at: datetime) -> None:
    """Count in full what was set aside and never settled: nobody spends more by falling over."""
    more = True
    while more:
        async with database.across_orgs() as tx:
            due = await usages.due(tx, at, _ROWS)
        more = len(due) == _ROWS
        for reservation in due:
            async with database.transaction((reservation.org_id,)) as tx:
                await usages.settle(tx, reservation.org_id, reservation.id, reservation.amount, at)
