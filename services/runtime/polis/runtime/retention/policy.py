"""How long ended runs are kept: what an org says, over what the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.runtime.config import Config


class Policy(Struct, frozen=True):
    """Bounds of age and size; None: none."""

    days: int | None = None
    bytes: int | None = None

    def over(self, settings: Policy) -> Policy:
        """What counts where this was said besides the settings."""
        return Policy(self.days or settings.days, self.bytes or settings.bytes)


def policy_of(config: Config) -> Policy:
    """What the settings say."""
    return Policy(config.run_retention_days or None, config.run_retention_bytes or None)


async def of(db: Tenant) -> Policy:
    """What the org itself has said."""
    found = await db.row(Policy, "select days, bytes from runtime.retention where org_id = $1", db.org_id)
    return found or Policy()


async def put(tx: Transaction, policy: Policy) -> None:
    await tx.execute(
        """
        insert into runtime.retention (org_id, days, bytes) values ($1, $2, $3)
        on conflict (org_id) do update set days = excluded.days, bytes = excluded.bytes
        """,
        tx.org_id,
        policy.days,
        policy.bytes,
    )
