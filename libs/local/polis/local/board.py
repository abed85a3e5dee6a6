"""What a person sees of the mesh: a line for each part with its state; live on a terminal, plain lines elsewhere."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from types import TracebackType

_STYLES = {
    "ready": "green",
    "running": "green",
    "starting": "yellow",
    "stopping": "yellow",
    "waiting": "dim",
    "stopped": "dim",
}
_FAULTY = "red"
_UNSAID = frozenset({"waiting"})


class Board:
    """Parts and their states, in the order in which they were first named.

    What cannot be written, as to a log on a full disk, is lost.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.parts: dict[str, tuple[str, str]] = {}
        self._live = (
            Live(self._table(), console=self.console, auto_refresh=False)
            if self.console.is_terminal
            else None
        )

    def show(self, part: str, state: str, detail: str = "") -> bool:
        """Whether that is news."""
        if self.parts.get(part) == (state, detail):
            return False
        self.parts[part] = (state, detail)
        if self._live is not None:
            with suppress(OSError):
                self._live.update(self._table(), refresh=True)
        elif state not in _UNSAID:
            self.say(f"{part:<12} {state:<10} {detail}".rstrip())
        return True

    def say(self, text: str) -> None:
        with suppress(OSError):
            self.console.print(Text(text), soft_wrap=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for part, (state, detail) in self.parts.items():
            table.add_row(part, Text(state, style=_STYLES.get(state, _FAULTY)), Text(detail))
        return table
