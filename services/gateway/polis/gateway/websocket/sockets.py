"""All WebSockets of a port: what they may cost, and the one timer that looks after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from polis.telemetry import metrics

if TYPE_CHECKING:
    import asyncio

    from polis.gateway.websocket.socket import WebSocket

RESTART = 1012
SWEEP_S = 1.0
"""How often each of them is looked at."""
_AT_ONCE = 50
"""So many in one turn of the loop: mostly all of them are pinged then and answer together, and what is told meanwhile waits."""
_MOST_PARTS = 50
"""More at once where there are so many that the loop would wake for little else."""


class Bounds(Struct, frozen=True):
    """message_bytes: of what a client says at once. held_bytes: of what waits for one that does not read.

    rate, burst: messages and control frames a second, and how many may come at once; who says more is listened to later.
    """

    message_bytes: int = 128 * 1024
    held_bytes: int = 1024 * 1024
    rate: float = 100.0
    burst: float = 1_000.0


class Sockets:
    """Those that are open. To the server of their port they are one connection together, which it closes at its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bounds: Bounds) -> None:
        self.loop = loop
        self.bounds = bounds
        self.busy: set[int] = set()
        """The numbers of those whose transports were written to: whoever writes past these asks them first."""
        self._open: set[WebSocket] = set()
        self._due: list[WebSocket] = []
        self._at_once = _AT_ONCE
        self._timer: asyncio.TimerHandle | None = None
        self._owed: dict[WebSocket, float] = {}
        self._port: set[Any] | None = None

    def __len__(self) -> int:
        return len(self._open)

    def belong_to(self, port: set[Any]) -> None:
        """The connections of the port that they are on, where `shutdown` is called."""
        self._port = port
        port.add(self)

    def shutdown(self) -> None:
        """The port closes: everybody is to come back, elsewhere."""
        for socket in list(self._open):
            socket.close(RESTART)

    def opened(self, socket: WebSocket) -> None:
        self._open.add(socket)
        metrics.live_open.inc()
        if self._timer is None:
            self._timer = self.loop.call_later(SWEEP_S, self._sweep)

    def closed(self, socket: WebSocket) -> None:
        self._open.discard(socket)
        metrics.live_open.dec()
        self._owed.pop(socket, None)
        if not self._open and self._port is not None:
            self._port.discard(self)

    def pace(self, socket: WebSocket, count: int, now: float) -> None:
        """A client has said so much. Beyond its burst nothing more is read for as long as that takes at its rate."""
        bounds = self.bounds
        owed = max(self._owed.get(socket, 0.0), now) + count / bounds.rate
        self._owed[socket] = owed
        late = owed - now - bounds.burst / bounds.rate
        if late > 0 and socket in self._open:
            socket.pause_reading()
            self.loop.call_later(late, socket.resume_reading)

    def _sweep(self) -> None:
        """A part of them; all of them in SWEEP_S."""
        now = self.loop.time()
        if not self._due:
            self._due = list(self._open)
            self._owed = {socket: owed for socket, owed in self._owed.items() if owed > now}
            self._at_once = max(_AT_ONCE, len(self._due) // _MOST_PARTS + 1)
        for _ in range(min(len(self._due), self._at_once)):
            self._due.pop().look(now)
        parts = len(self._open) // self._at_once + 1
        self._timer = self.loop.call_later(SWEEP_S / parts, self._sweep) if self._open else None
