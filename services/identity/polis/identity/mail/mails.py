"""Rows of mails: asked for by a handler, written and sealed by the sender, deleted when sent or expired."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.identity.mail.letters import Letter
from polis.identity.seal import OtherSecret
from polis.proto.identity import Mail, MailKind

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.identity.mail.post import Post
    from polis.identity.seal import Seal

_NOTICE_TTL = timedelta(days=1)


class Asked(Struct, frozen=True):
    """A mail whose text is not made yet."""

    id: UUID
    kind: MailKind
    email: str
    expires_at: datetime
    about: bytes | None = None


class Ready(Struct, frozen=True):
    """A sealed mail."""

    id: UUID
    kind: MailKind
    email: str
    created_at: datetime
    expires_at: datetime
    sealed: bytes
    tries: int


async def ask(
    tx: Transaction, post: Post, kind: MailKind, email: str, *, mail_id: UUID, at: datetime
) -> None:
    """Have a mail sent after this transaction, if an active account has this address; of a sign-up also if none has."""
    ttl = post.reset_ttl if kind == "password_reset" else _NOTICE_TTL
    await tx.execute(
        """
        insert into identity.mails (id, kind, email, created_at, expires_at, due_at) values ($1, $2, $3, $4, $5, $4)
        """,
        mail_id,
        kind,
        email,
        at,
        at + ttl,
    )
    tx.after_commit(post.wake)


async def next_asked(tx: Transaction, at: datetime) -> Asked | None:
    """The oldest mail that has no text yet, locked."""
    return await tx.row(
        Asked,
        """
        select id, kind, email, expires_at, about
        from identity.mails
        where sealed is null and expires_at > $1
        order by due_at
        limit 1
        for update skip locked
        """,
        at,
    )


async def write(tx: Transaction, seal: Seal, asked: Asked, letter: Letter) -> None:
    await tx.execute(
        "update identity.mails set sealed = $2 where id = $1",
        asked.id,
        seal.close(str(asked.id), msgspec.json.encode(letter)),
    )


async def put_off(tx: Transaction, asked: Asked, wait: timedelta) -> None:
    """Let others go before a mail that cannot be written now."""
    await tx.execute("update identity.mails set due_at = due_at + $2 where id = $1", asked.id, wait)


async def claim(tx: Transaction, at: datetime, wait: timedelta, most: timedelta) -> Ready | None:
    """A mail to send now. It is due again after `wait`, and twice as long after each try, if nobody deletes it."""
    return await tx.row(
        Ready,
        """
        update identity.mails
        set tries = tries + 1, due_at = $1::timestamptz + least($2::interval * power(2, least(tries, 16)), $3::interval)
        where id = (
            select id from identity.mails
            where sealed is not null and due_at <= $1 and expires_at > $1
            order by due_at
            limit 1
            for update skip locked
        )
        returning id, kind, email, created_at, expires_at, sealed, tries
        """,
        at,
        wait,
        most,
    )


async def forget(tx: Transaction, mail_id: UUID) -> None:
    await tx.execute("delete from identity.mails where id = $1", mail_id)


async def written(tx: Transaction, seal: Seal, at: datetime, before: UUID | None, limit: int) -> list[Mail]:
    """Mails that nobody sent, as they would be, the newest first."""
    rows = await tx.rows(
        Ready,
        """
        select id, kind, email, created_at, expires_at, sealed, tries
        from identity.mails
        where sealed is not null and expires_at > $1 and id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        order by id desc
        limit $3
        """,
        at,
        before,
        limit,
    )
    letters = [(row, opened(seal, row)) for row in rows]
    return [
        Mail(row.id, row.email, letter.subject, letter.text, row.created_at, row.expires_at)
        for row, letter in letters
        if letter is not None
    ]


def opened(seal: Seal, ready: Ready) -> Letter | None:
    """What a mail says; None when it was sealed under another mesh secret."""
    try:
        return msgspec.json.decode(seal.open(str(ready.id), ready.sealed), type=Letter)
    except OtherSecret:
        return None
