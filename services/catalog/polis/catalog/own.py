"""What the catalog holds while it runs, and its endless task."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from polis.catalog import grants
from polis.catalog.bootstrap import bootstrap, shipped
from polis.catalog.changes import export
from polis.catalog.changes.turns import Turns
from polis.catalog.files import intents, uploads
from polis.catalog.files.blobs import Blobs, Rows
from polis.catalog.files.quota import Quota
from polis.catalog.files.streams import Streams
from polis.catalog.grants import Grants
from polis.catalog.resources import rows as resources
from polis.javascript import Pool
from polis.service.quotas import Quotas
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.catalog.config import Config
    from polis.service import Kernel

_HASHING = 2
"""Uploads that are checked at a time: each holds a connection for as long as its bytes take to read."""


class Own:
    """What the catalog holds while it runs."""

    def __init__(self, config: Config, kernel: Kernel) -> None:
        self.config = config
        self.database = database = kernel.database
        self.resources = resources.by_id(database)
        self.creations = resources.creations(database)
        self.grants = Grants(kernel)
        self.blobs: Blobs = Rows()
        self.streams = Streams(config.downloads)
        self.turns = Turns()
        self.exports = Streams(export.AT_ONCE)
        self.hashing = asyncio.Semaphore(_HASHING)
        self.metered = Quotas(kernel, "storage")
        self.quota = Quota(config.org_bytes, config.open_uploads)
        self.scripts = Pool(1)
        self.upload_ttl = timedelta(seconds=config.upload_ttl_s)


@asynccontextmanager
async def open_own(config: Config, kernel: Kernel) -> AsyncIterator[Own]:
    own = Own(config, kernel)
    await bootstrap(kernel.database, shipped())
    kernel.tasks.start(rounds("sweep", lambda: _sweep(own), every_s=config.sweep_every_s), name="sweep")
    async with own.scripts:
        yield own


async def _sweep(own: Own) -> None:
    """Remove expired uploads, what is left of those that were never opened, and expired grants."""
    while await uploads.sweep(own.database, own.blobs, datetime.now(UTC)):
        pass
    while await intents.sweep(own.database, datetime.now(UTC)):
        pass
    await grants.sweep(own.database, datetime.now(UTC))
