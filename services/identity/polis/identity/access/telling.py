"""What the audit log is told of access: in the transaction of the handler that did it, as its last statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.identity.audit.log import record

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db import Transaction
    from polis.identity.own import Own
    from polis.service import Context


async def tell(
    ctx: Context[Own],
    tx: Transaction,
    action: str,
    subject: UUID | str,
    *,
    org_id: UUID | None = None,
    **detail: object,
) -> None:
    """`action`: `<noun>.<past>`; `subject`: what it was done to; in the actor's org unless another is named.

    Nothing secret goes into `detail`. Who did it by a key, or had a service do it, is told with that.
    """
    if ctx.actor.acting:
        detail["by"] = ctx.actor.acting
    await record(
        tx,
        org_id=org_id or ctx.actor.org_id,
        action=action,
        actor_id=ctx.actor.principal_id,
        subject=str(subject),
        detail={name: str(value) for name, value in detail.items()},
        at=ctx.now(),
    )
