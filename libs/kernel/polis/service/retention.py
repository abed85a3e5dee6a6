"""Deletes from outbox, inbox and idempotency keys what is kept longer than it has to be, while the service runs."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from polis.db.retention import sweep
from polis.proto import Refused
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.service.kernel import Kernel

EVERY_S = 600.0


async def keep_retention(kernel: Kernel) -> None:
    """Sweep again and again; replicas spread over time, and an outage is waited out."""
    while True:
        await asyncio.sleep(EVERY_S * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        try:
            deleted = await sweep(kernel.database)
        except Refused as refusal:
            log.warning("retention.postponed", problem=refusal.problem.type)
        else:
            log.info("retention.swept", **deleted)
