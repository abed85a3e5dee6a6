"""What a run of the bench found: figures beside their peers, as a table and as `.polis/bench.json`."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import NamedTuple

_HEADS = ("id", "what", "ours", "peer", "", "ratio", "bar", "p50 / p99 ms", "")
_KEPT = ("id", "name", "value", "unit", "peer", "peer_value", "ratio")


class Figure(NamedTuple):
    """Medians over the rounds. `ratio` is the median of the ratios of each round, not the ratio of the medians.

    bar: what the ratio has to reach; with `at_most`, what the value must not pass.
    """

    id: str
    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    bar: float | None = None
    at_most: bool = False
    p50_ms: float | None = None
    p99_ms: float | None = None
    note: str = ""

    @property
    def met(self) -> str:
        reached = self.value if self.ratio is None else self.ratio
        if self.bar is None:
            return ""
        good = reached <= self.bar if self.at_most else reached >= self.bar
        return "met" if good else "missed"


class Point(NamedTuple):
    """One measurement: a rate, and how long callers waited."""

    rate: float
    p50_ms: float | None = None
    p99_ms: float | None = None


def beside(
    id: str,  # noqa: A002 - as the figure's
    name: str,
    ours: list[Point],
    peer: str,
    peers: list[Point],
    *,
    bar: float | None = None,
    unit: str = "requests/s",
    note: str = "",
) -> Figure:
    """A figure out of rounds that were taken in turn."""
    return Figure(
        id=id,
        name=name,
        value=statistics.median(p.rate for p in ours),
        unit=unit,
        peer=peer,
        peer_value=statistics.median(p.rate for p in peers),
        ratio=statistics.median(o.rate / p.rate for o, p in zip(ours, peers, strict=True)),
        bar=bar,
        p50_ms=_median([p.p50_ms for p in ours]),
        p99_ms=_median([p.p99_ms for p in ours]),
        note=note,
    )


def _median(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def table(figures: list[Figure]) -> str:
    """The figures as aligned text."""
    rows = [_HEADS, *(_row(figure) for figure in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)


def _row(figure: Figure) -> tuple[str, ...]:
    waits = "" if figure.p50_ms is None else f"{figure.p50_ms:.2f} / {figure.p99_ms or 0:.2f}"
    beside = "" if figure.peer_value is None else f"{_number(figure.peer_value)} {figure.peer}"
    bar = "" if figure.bar is None else f"{'<=' if figure.at_most else '>='} {figure.bar:g}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    ours = f"{_number(figure.value)} {figure.unit}"
    return figure.id, figure.name, ours, beside, "", ratio, f"{bar} {figure.met}".strip(), waits, figure.note


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write(figures: list[Figure], path: Path) -> None:
    """The figures as a list of objects; how long callers waited follows as figures of its own."""
    found = []
    for figure in figures:
        found.append(figure._asdict())
        for name, value in (("p50", figure.p50_ms), ("p99", figure.p99_ms)):
            if value is not None:
                found.append(Figure(figure.id, f"{figure.name}, {name}", value, "ms")._asdict())
    path.parent.mkdir(mode=0o700, exist_ok=True)
    kept = [{name: each[name] for name in _KEPT} for each in found]
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
