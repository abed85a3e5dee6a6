"""What a person sees of the mesh: a line for each part with its state; live on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from types import TracebackType

_COLOURS = {"ready": "green", "starting": "yellow", "waiting": "dim", "stopped": "dim", "stopping": "yellow"}


class Board:
    """Parts and their states, in the order in which they were first named."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._lines: dict[str, tuple[str, str]] = {}
        self._live = (
            Live(self._table(), console=self.console, auto_refresh=False)
            if self.console.is_terminal
            else None
        )

    def show(self, part: str, state: str, detail: str = "") -> None:
        if self._lines.get(part) == (state, detail):
            return
        self._lines[part] = (state, detail)
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
        elif state != "waiting":
            self.console.print(f"{part:<12} {state:<10} {detail}".rstrip(), highlight=False)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)

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
        for part, (state, detail) in self._lines.items():
            colour = _COLOURS.get(state, "red")
            table.add_row(part, f"[{colour}]{state}[/{colour}]", detail)
        return table
