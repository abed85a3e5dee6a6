"""A drawing as SVG: shapes and text alone, so that it can be shown as an image anywhere. Every text is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polis.runtime.pictures.layout import Box, Drawing

_WIDTH, _HEIGHT = 240, 58
_ACROSS, _DOWN = 70, 24
_MARGIN, _HEAD = 24, 40
_TITLE_LETTERS, _SAID_LETTERS = 30, 40

COLOURS = {
    "pending": ("#f4f4f5", "#a1a1aa"),
    "running": ("#dbeafe", "#2563eb"),
    "waiting": ("#ede9fe", "#7c3aed"),
    "retrying": ("#ffedd5", "#ea580c"),
    "succeeded": ("#dcfce7", "#16a34a"),
    "failed": ("#fee2e2", "#dc2626"),
    "skipped": ("#fafafa", "#d4d4d8"),
    "cancelled": ("#fef9c3", "#a16207"),
}
"""Ground and border by state; the state is written as well."""


def write(drawing: Drawing) -> str:
    width = _MARGIN + max((_right(box) for box in drawing.boxes), default=_WIDTH)
    height = _MARGIN + max((_top(box) + _HEIGHT for box in drawing.boxes), default=_HEAD)
    arrows = [_arrow(drawing.boxes[a], drawing.boxes[b], error=error) for a, b, error in drawing.arrows]
    return "\n".join(
        (
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
                f'font-family="system-ui, sans-serif" role="img">'
            ),
            f"<title>{text(drawing.title)}</title>",
            (
                '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
                '<path d="M0 0 8 4 0 8z" fill="#71717a"/></marker></defs>'
            ),
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            f'<text x="{_MARGIN}" y="26" font-size="15" font-weight="600" fill="#18181b">{text(drawing.title)}</text>',
            *arrows,
            *(_drawn(box) for box in drawing.boxes),
            "</svg>",
        )
    )


def text(written: str) -> str:
    """As text in XML, which has no control characters, not even escaped ones."""
    return escape("".join(char for char in written if char.isprintable()))


def _drawn(box: Box) -> str:
    ground, border = COLOURS.get(box.state, COLOURS["pending"])
    x, y = _left(box), _top(box)
    return (
        f'<g><title>{text(box.name)}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8" '
        f'fill="{ground}" stroke="{border}" stroke-width="1.5"/>'
        f'<text x="{x + 12}" y="{y + 24}" font-size="13" font-weight="600" fill="#18181b">'
        f"{text(_short(box.title, _TITLE_LETTERS))}</text>"
        f'<text x="{x + 12}" y="{y + 43}" font-size="11" fill="#3f3f46">{text(_short(box.said, _SAID_LETTERS))}</text></g>'
    )


def _arrow(source: Box, target: Box, *, error: bool) -> str:
    x1, y1 = _right(source), _top(source) + _HEIGHT // 2
    x2, y2 = _left(target), _top(target) + _HEIGHT // 2
    bend = max(_ACROSS // 2, (x2 - x1) // 2)
    dashes = ' stroke-dasharray="5 4"' if error else ""
    return (
        f'<path d="M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none" stroke="#71717a" '
        f'stroke-width="1.3"{dashes} marker-end="url(#end)"/>'
    )


def _left(box: Box) -> int:
    return _MARGIN + box.layer * (_WIDTH + _ACROSS)


def _right(box: Box) -> int:
    return _left(box) + _WIDTH


def _top(box: Box) -> int:
    return _HEAD + box.row * (_HEIGHT + _DOWN)


def _short(written: str, letters: int) -> str:
    return written if len(written) <= letters else written[: letters - 1] + "…"
