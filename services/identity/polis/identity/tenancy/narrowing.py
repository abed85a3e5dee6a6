"""What ends when members may do less: every token that tells of their old role, however many members there are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from polis.proto.identity import SessionEnded
from polis.service.tokens import SKEW_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from polis.db import Transaction
    from polis.identity.config import Config
    from polis.identity.tenancy.orgs import Holder


async def end_tokens(
    tx: Transaction, org_id: UUID, holders: Sequence[Holder], config: Config, at: datetime
) -> None:
    """Have the tokens of these members' sessions and keys refused, and those by which services act for them.

    Sessions are refreshed and keys traded again. The accounts' locks keep a sign-in from opening a session with the old roles behind our back.
    """
    accounts = sorted(holder.account_id for holder in holders)
    await tx.execute(
        "select true from identity.accounts where id = any($1) order by id for no key update", accounts
    )
    sessions = await tx.rows(
        UUID,
        """
        update identity.sessions set sid = uuidv7()
        where account_id = any($1) and expires_at > $2
        returning old.sid
        """,
        accounts,
        at,
    )
    keys = await tx.rows(
        UUID,
        """
        update identity.api_keys set sid = uuidv7()
        where org_id = $1 and principal_id = any($2)
        returning old.sid
        """,
        org_id,
        accounts,
    )
    await _revoke(tx, org_id, [*(holder.sid for holder in holders), *sessions, *keys], config, at)


async def _revoke(tx: Transaction, org_id: UUID, sids: Sequence[UUID], config: Config, at: datetime) -> None:
    until = at + config.access_ttl + timedelta(seconds=SKEW_S)
    await tx.execute(
        """
        insert into identity.revocations (sid, until) select unnest($1::uuid[]), $2
        on conflict (sid) do update set until = excluded.until
        """,
        sids,
        until,
    )
    for sid in sids:
        await tx.emit(SessionEnded(org_id, sid, until))
