"""What a principal leaves behind in an org: keys end with it, and their tokens with them; grants and secrets of its own go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.identity.access import grants, keys, quotas
from polis.identity.people import sessions
from polis.identity.vault import rows as secrets
from polis.proto.identity import Holder

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from polis.db import Transaction
    from polis.identity.config import Config


async def forget(tx: Transaction, org_id: UUID, principal_id: UUID, config: Config, at: datetime) -> None:
    for sid in await keys.revoke_of(tx, org_id, principal_id):
        await sessions.revoke(tx, org_id, sid, config, at)
    await grants.take_of(tx, org_id, Holder("principal", principal_id))
    await quotas.forget(tx, org_id, "principal", principal_id)
    await secrets.forget(tx, org_id, principal_id)


async def end_key_tokens(
    tx: Transaction, org_id: UUID, principal_id: UUID, config: Config, at: datetime
) -> None:
    """Have tokens refused that keys of a principal were traded for, because the principal may do less; the keys stay."""
    for sid in await keys.renew_sids(tx, org_id, principal_id):
        await sessions.revoke(tx, org_id, sid, config, at)
