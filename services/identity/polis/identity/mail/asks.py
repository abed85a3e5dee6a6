"""Mails to whom an ask is addressed by name or by role. What is asked, the runtime says when the mail is written."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

import msgspec
from msgspec import Struct

from polis.proto import Refused
from polis.proto.runtime import AskEnded, AskNotFound, DescribeAsk, NotAddressed

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.proto.runtime import Addressee, AskMail, AskNotice
    from polis.service import Kernel

MOST = 20
"""Mails for one event, those who are addressed by name first."""
_TTL = timedelta(days=1)
_WAIT_S = 2.0
_OVER = (AskNotFound, AskEnded, NotAddressed)


class About(Struct, frozen=True):
    """What a mail is about, and for whom."""

    org_id: UUID
    ask_id: UUID
    principal_id: UUID
    link: bool


class _Person(Struct, frozen=True):
    id: UUID
    email: str


async def people(tx: Transaction, to: Iterable[Addressee]) -> list[_Person]:
    """The members of an org whom an ask is addressed to by name or role, a bounded number of them."""
    named = [addressee.id for addressee in to if addressee.id is not None]
    roles = [addressee.role for addressee in to if addressee.role is not None]
    return await tx.rows(
        _Person,
        """
        select a.id, a.email
        from identity.memberships m join identity.accounts a on a.id = m.account_id and a.suspended_at is null
        where m.org_id = $1 and (m.account_id = any($2) or m.role = any($3))
        order by m.account_id = any($2) desc, a.id limit $4
        """,
        tx.org_id,
        named,
        roles,
        MOST,
    )


async def put(
    tx: Transaction, org_id: UUID, ask_id: UUID, to: list[_Person], *, mail: AskMail, nth: int, at: datetime
) -> None:
    """Have mails written, across orgs: one for each person and reminder, however often the event that says so arrives."""
    abouts = [About(org_id, ask_id, person.id, link=mail == "link") for person in to]
    await tx.execute(
        """
        insert into identity.mails (id, kind, email, created_at, expires_at, due_at, about)
        select id, 'ask', email, $4, $5, $4, about from unnest($1::uuid[], $2::text[], $3::bytea[]) as m (id, email, about)
        on conflict (id) do nothing
        """,
        [uuid5(ask_id, f"{person.id} {nth}") for person in to],
        [person.email for person in to],
        [msgspec.json.encode(about) for about in abouts],
        at,
        at + _TTL,
    )


class Asks:
    """Finds out what is asked, at the runtime."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def notice(self, about: bytes) -> AskNotice | None:
        """What somebody is mailed; None when there is nothing for them to answer any more. Refused while nobody can say."""
        told = msgspec.json.decode(about, type=About)
        request = DescribeAsk(told.org_id, told.ask_id, told.principal_id, told.link)
        token = await self._kernel.keys.own_token()
        try:
            return await self._kernel.caller.call(request, token=token, timeout_s=_WAIT_S)
        except Refused as refusal:
            if isinstance(refusal.problem, _OVER):
                return None
            raise
