"""Following a run to its end: over the live socket, taken up again where it broke, and by asking where there is none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from polis.cli.api import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.cli.api import Api

POLL_S = 0.5
ENDED = frozenset({"succeeded", "failed", "cancelled"})
_ATTEMPTS = 20
"""Questions in a row without an answer, before it is given up."""

Steps = list[dict[str, Any]]


class Following:
    """One run as it goes on. `state` is what it is by now, `last` the last transition that was seen."""

    def __init__(self, api: Api, run_id: str) -> None:
        self._api = api
        self._run_id = run_id
        self.state = ""
        self.last: int | None = None

    async def changes(self) -> AsyncIterator[Steps]:
        """The steps that have changed, each time some have. Problem when the run cannot be read."""
        try:
            async for frame in self._api.follow(f"run/{self._run_id}"):
                if frame["op"] == "snapshot":
                    yield self._snapshot(frame["data"])
                elif frame["op"] == "events":
                    yield self._transitions(frame["data"])
        except (aiohttp.ClientError, Problem, TimeoutError):
            # Nobody may have the socket, or it is gone for good: what is wrong with the run itself, asking tells as well.
            pass
        while self.state not in ENDED:
            yield self._snapshot(await self._ask())
            if self.state not in ENDED:
                await asyncio.sleep(POLL_S)

    async def _ask(self) -> dict[str, Any]:
        after = "" if self.last is None else f"?after={self.last}"
        for attempt in range(_ATTEMPTS):
            try:
                found: dict[str, Any] = await self._api.call("GET", f"/runs/{self._run_id}/snapshot{after}")
            except (aiohttp.ClientConnectionError, TimeoutError):
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(POLL_S)
            else:
                return found
        raise AssertionError("unreachable")

    def _snapshot(self, data: dict[str, Any]) -> Steps:
        self.state = data["run"]["state"]
        self.last = data["seq"]
        return [*data["steps"], *self._transitions(data["transitions"])]

    def _transitions(self, transitions: list[dict[str, Any]]) -> Steps:
        for transition in transitions:
            self.last = transition["seq"]
            if transition.get("step") is None:
                self.state = transition["state"]
        return [transition["step"] for transition in transitions if transition.get("step")]
