"""Workers that wait for jobs: woken when one opens, in whichever process, and looking now and then for what they did not hear of."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from polis.runtime.custom.job import KIND
from polis.runtime.waits import Kind, register
from polis.service.word import Word

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.jobs.silence import Silence
    from polis.runtime.waits import OpenWait
    from polis.service import Kernel

LOOK_S = 1.0
"""How long a job may go unseen of which nobody was told, as one whose lease has ended."""
MOST = 48
"""Workers that wait in this process; each takes a slot of its requests. Further ones are answered at once."""
MOST_OF_ORG = 12


class Waiting:
    """Who waits for jobs here, by org."""

    def __init__(self, kernel: Kernel) -> None:
        self._there_are = Word(kernel, "jobs", self._wake)
        self._woken: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._count = 0

    def hear(self, silence: Silence) -> None:
        """Learn of jobs as they open, and have those whose worker could not be heard wait for it."""
        register(KIND, Kind(opened=self._opened, due=silence.over))

    async def wait(self, org_id: UUID, within_s: float) -> bool:
        """Wait for a reason to look again; false when there is no room to wait here."""
        if self._count >= MOST or len(self._woken[org_id]) >= MOST_OF_ORG:
            return False
        event = asyncio.Event()
        self._woken[org_id].add(event)
        self._count += 1
        try:
            async with asyncio.timeout(min(within_s, LOOK_S)):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._count -= 1
            self._woken[org_id].discard(event)
            if not self._woken[org_id]:
                del self._woken[org_id]
        return True

    async def _opened(self, tx: Transaction, opened: Sequence[OpenWait]) -> None:
        orgs = {wait.org_id for wait in opened}
        tx.after_commit(lambda: self._there_are.tell(orgs))

    def _wake(self, orgs: Sequence[UUID]) -> None:
        for org_id in orgs:
            for event in self._woken.get(org_id, ()):
                event.set()
