"""Deletes from outbox, inbox and idempotency keys what is kept longer than it has to be, while the service runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.db.retention import sweep
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.service.kernel import Kernel

EVERY_S = 600.0


async def keep_retention(kernel: Kernel) -> None:
    """Sweep again and again; replicas spread over time."""

    async def turn() -> None:
        log.info("retention.swept", **await sweep(kernel.database))

    await rounds("retention", turn, every_s=EVERY_S, spread=True)
