"""What identity holds while it runs: settings, rows, hashing threads, signing and root keys, mails; and its endless tasks."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from polis.identity.audit import retention
from polis.identity.mail.asks import Asks
from polis.identity.mail.post import Post
from polis.identity.people import administrators
from polis.identity.people.confirmations import Confirmations
from polis.identity.people.guesses import Buckets
from polis.identity.people.passwords import Hasher
from polis.identity.seal import Seal
from polis.identity.sweep import sweep
from polis.identity.tokens.issue import Issuer
from polis.identity.tokens.keys import Keyring, utc_now
from polis.identity.vault import rewrap
from polis.identity.vault.cipher import ring_of
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.identity.config import Config
    from polis.service import Kernel


class Own:
    """The resources of one process."""

    def __init__(self, config: Config, kernel: Kernel) -> None:
        self.config = config
        self.database = database = kernel.database
        self.hasher = Hasher(config.hash_threads, config.hash_queue)
        self.keys = Keyring(config)
        self.ring = ring_of(config)
        self.issuer = Issuer(config, self.keys)
        self.buckets = Buckets(config)
        self.totp_seal = Seal(config.mesh_secret, "totp v1")
        self.confirmations = Confirmations(config)
        self.post = Post(database, config, self.confirmations, Asks(kernel))


@asynccontextmanager
async def open_own(config: Config, kernel: Kernel) -> AsyncIterator[Own]:
    config.check()
    own = Own(config, kernel)
    try:
        await own.keys.reload(own.database, utc_now())
        await rewrap.demand_keys(own.database, own.ring)
        await administrators.offer(own.database, config, utc_now())
        kernel.tasks.start(_reload_keys(own), name="keys of identity")
        kernel.tasks.start(sweep(own.database, config), name="sweep of identity")
        kernel.tasks.start(retention.keep(own.database, config), name="audit log of identity")
        kernel.tasks.start(rewrap.keep(own.database, own.ring, config), name="vault of identity")
        kernel.tasks.start(own.post.run(), name="mails of identity")
        yield own
    finally:
        own.hasher.close()


async def _reload_keys(own: Own) -> None:
    """See the keys that other replicas made, for as long as the service runs."""

    async def turn() -> None:
        await own.keys.reload(own.database, utc_now())

    await rounds("signing keys", turn, every_s=own.config.key_reload_s, spread=True)
