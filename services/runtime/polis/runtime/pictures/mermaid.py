"""A drawing in Mermaid's words. Nodes are numbered, and whatever its grammar could read in a text is written as a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.runtime.pictures.svg import COLOURS

if TYPE_CHECKING:
    from polis.runtime.pictures.layout import Drawing


def write(drawing: Drawing) -> str:
    lines = ["---", f"title: {_title(drawing.title)}", "---", "flowchart LR"]
    lines += [
        f'  n{index}["{text(box.title)}<br/>{text(box.said)}"]:::{box.state}'
        for index, box in enumerate(drawing.boxes)
    ]
    lines += [f"  n{a} {'-.->' if error else '-->'} n{b}" for a, b, error in drawing.arrows]
    used = {box.state for box in drawing.boxes}
    lines += [
        f"  classDef {state} fill:{ground},stroke:{border},color:#18181b"
        for state, (ground, border) in COLOURS.items()
        if state in used
    ]
    return "\n".join(lines) + "\n"


def text(written: str) -> str:
    """Letters, digits and spaces as they are; every other character that is not a harmless sign by its number."""
    return "".join(char if _plain(char) else f"#{ord(char)};" for char in written if char.isprintable())


def _title(written: str) -> str:
    """As a string of YAML, in which a title stands."""
    escaped = "".join(
        char if _plain(char) else f"\\U{ord(char):08x}" for char in written if char.isprintable()
    )
    return f'"{escaped}"'


def _plain(char: str) -> bool:
    return char.isalnum() or char in " .,:·-_/"
