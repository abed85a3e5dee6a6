"""PostgreSQL and NATS under the supervisor: ours, kept running, or the user's own."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from polis.bus.admin import declare
from polis.local import mesh
from polis.local.children import ended
from polis.local.failures import CannotStart, in_words
from polis.local.keeper import Backoff
from polis.local.nats import Nats
from polis.local.postgres import Postgres
from polis.local.theirs import nats_faults, place_of, postgres_faults

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from polis.local.home import Home
    from polis.local.keeper import Show

POSTGRESQL, NATS = "postgresql", "nats"
HEAL_S = 5.0
"""From one question to NATS about its store to the next."""
_OWN = "your own"


class Servers:
    """Both servers. `started` hears of each process of ours."""

    def __init__(
        self,
        home: Home,
        settings: dict[str, str],
        *,
        show: Show,
        started: Callable[[str, subprocess.Popen[bytes]], None],
    ) -> None:
        self.postgres: Postgres | None = None
        self.nats: Nats | None = None
        self.failures: dict[str, str] = {}
        self._home = home
        self._postgres_url = settings.get("POLIS_POSTGRES_URL", "")
        self._nats_url = settings.get("POLIS_NATS_URL", "")
        self._show = show
        self._started = started

    async def start(self, owners: list[str]) -> mesh.Addresses:
        """Both at once, prepared for these services. What could not be migrated is in `failures`."""
        async with asyncio.TaskGroup() as group:
            nats = group.create_task(self._their_nats() if self._nats_url else self._our_nats())
            url_of = group.create_task(
                self._their_postgres(owners) if self._postgres_url else self._our_postgres(owners)
            )
        return mesh.Addresses(nats.result(), self.nats is not None, url_of.result())

    async def keep(self) -> None:
        """Start again what ends by itself, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, server in ((POSTGRESQL, self.postgres), (NATS, self.nats)):
                if server is not None:
                    group.create_task(self._keep(name, server))
            if self.nats is not None:
                group.create_task(self._heal(self.nats))

    async def stop(self, end: float) -> None:
        """By then. NATS first; PostgreSQL has what time is left, and recovers by itself if that was too short."""
        for name, server, patience_s in ((NATS, self.nats, 1.0), (POSTGRESQL, self.postgres, 10.0)):
            if server is not None:
                self._show(name, "stopping", "")
                await server.stop(min(patience_s, max(end - time.monotonic(), 0.5)))
                self._show(name, "stopped", "")

    async def _our_postgres(self, owners: list[str]) -> Callable[[str, str], str]:
        self._show(POSTGRESQL, "starting", "")
        home = self._home
        self.postgres = Postgres(
            home.root / "postgres", password=home.secret("postgres"), log=home.log(POSTGRESQL)
        )
        await self._begin(POSTGRESQL, self.postgres)
        if faults := await postgres_faults(self.postgres.url(database="postgres")):
            raise CannotStart(
                f"the data in {self.postgres.data} does not open with {home.secrets / 'postgres'}: {faults[0]}"
            )
        self._show(POSTGRESQL, "starting", "migrating")
        self.failures = await mesh.prepare_embedded(home, self.postgres, owners)
        self._show(POSTGRESQL, "ready", f"port {self.postgres.port}")
        return self.postgres.url

    async def _our_nats(self) -> str:
        self._show(NATS, "starting", "")
        home = self._home
        self.nats = Nats(home.root / "nats", passwords=mesh.nats_passwords(home), log=home.log(NATS))
        await self._begin(NATS, self.nats)
        self._show(NATS, "ready", f"port {self.nats.port}")
        return self.nats.url

    async def _their_postgres(self, owners: list[str]) -> Callable[[str, str], str]:
        self._show(POSTGRESQL, "starting", _OWN)
        url = self._postgres_url
        if faults := await postgres_faults(url):
            raise CannotStart(f"PostgreSQL at {place_of(url)}: {'; '.join(faults)}")
        self.failures = await mesh.prepare_database(self._home, url, role_url(url), owners)
        self._show(POSTGRESQL, "ready", f"{_OWN}, {place_of(url)}")
        return role_url(url)

    async def _their_nats(self) -> str:
        self._show(NATS, "starting", _OWN)
        url = self._nats_url
        if faults := await nats_faults(url):
            raise CannotStart(f"NATS at {place_of(url)}: {'; '.join(faults)}")
        parts = urlsplit(url)
        await declare(url, parts.username or "", parts.password or "")
        self._show(NATS, "ready", f"{_OWN}, {place_of(url)}")
        return url

    async def _begin(self, name: str, server: Postgres | Nats) -> None:
        await server.start(server.port)
        if server.process is not None:
            self._started(name, server.process)

    async def _keep(self, name: str, server: Postgres | Nats) -> None:
        backoff = Backoff()
        while server.process is not None:
            began = time.monotonic()
            code = await ended(server.process)
            self._show(name, "failed", f"ended with {code}; starts again")
            await asyncio.sleep(backoff.pause(time.monotonic() - began))
            await self._begin_again(name, server, backoff)

    async def _heal(self, nats: Nats) -> None:
        """A stream that a full disk has stopped takes nothing more until the server starts anew: it ends when there is room."""
        while True:
            await asyncio.sleep(HEAL_S)
            if failure := await nats.store_failure():
                self._show(NATS, "unready", failure)
                if nats.has_room():
                    await nats.stop()

    async def _begin_again(self, name: str, server: Postgres | Nats, backoff: Backoff) -> None:
        while True:
            try:
                await self._begin(name, server)
            except Exception as error:  # noqa: BLE001 - whatever keeps it down is shown, and may pass: a full disk, a port
                pause = backoff.pause(0)
                self._show(name, "failed", f"{in_words(error)}; starts again in {pause:g} s")
                await asyncio.sleep(pause)
            else:
                self._show(name, "ready", f"port {server.port}")
                return


def role_url(url: str) -> Callable[[str, str], str]:
    """Makes URLs of other roles on the same server and database."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]

    def url_of(role: str, password: str) -> str:
        return urlunsplit(parts._replace(netloc=f"{role}:{password}@{place}"))

    return url_of
