"""What a step may reach beyond its run: the mesh, secrets, files and hosts outside. Each is refused unless it is allowed.

Steps see this interface alone; polis.runtime.shell.reaching carries it out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from polis.javascript import Call, Script
    from polis.proto import Request
    from polis.runtime.egress.client import Egress

A = TypeVar("A")
Place = tuple[str, int]
"""A host, as it is written, and a port."""
Told = Callable[[str], Place]
"""Where a secret goes that says so itself, as the URL of a database does."""


class Reach(Protocol):
    """What the steps of one run may reach, as who the run acts as."""

    @property
    def me(self) -> str:
        """The id of who the run acts as."""
        ...

    @property
    def egress(self) -> Egress:
        """Connections to hosts outside."""
        ...

    async def secret(self, secret_id: str, to: Place | Told | None) -> str:
        """The value of a secret, for this moment: it goes into no message, event, log line or text of an error.

        to: where it is sent; None where it is only computed with. StepFailed `secret.elsewhere` when it is bound to other hosts.
        """
        ...

    async def call(self, request: Request[A], *, key: str, timeout_s: float | None = None) -> A:
        """The answer of an operation, with the scopes that the run's components name and no others.

        key: what the call is idempotent by. timeout_s: how long it is waited for, if that is not as long as for any call.
        StepFailed names the problem of what is refused.
        """
        ...

    async def store(self, key: str, name: str, media_type: str, content: bytes) -> dict[str, object]:
        """Make content a file of the org; the reference to it, as a port for files takes it. Once for each key.

        name: from wherever; what no name of a file may hold is left out of it.
        """
        ...

    async def tell(self, key: str, topic: str, data: object) -> None:
        """Publish an event of the run, unless the run has ended or is another process's by now."""
        ...

    async def script(self, script: Script, call: Call) -> list[tuple[str, object]]:
        """What a script emits for a message, in a realm of the run's org. ScriptFailed."""
        ...

    def folder(self, name: str) -> Path:
        """A folder of this host that an operator has named for runs; StepFailed when there is none of this name."""
        ...
