"""What differs between two JSON values: changes that, made one after another, turn the one into the other (as RFC 6902)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from polis.graph.faults import pointer

if TYPE_CHECKING:
    from collections.abc import Iterator


class Difference(Struct, frozen=True):
    """One change: `old` is what lies at the pointer before (replace, remove), `value` what does after (replace, add)."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: object = None
    old: object = None


def differences(old: object, new: object) -> list[Difference]:
    """Every change between two values, object members by name and list items from the front."""
    return list(_between((), old, new))


def _between(path: tuple[str | int, ...], old: object, new: object) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _objects(path, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(path, old, new)
    elif not _same(old, new):
        yield Difference("replace", pointer(*path), value=new, old=old)


def _objects(
    path: tuple[str | int, ...], old: dict[str, object], new: dict[str, object]
) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        here = (*path, name)
        if name not in new:
            yield Difference("remove", pointer(*here), old=old[name])
        elif name not in old:
            yield Difference("add", pointer(*here), value=new[name])
        else:
            yield from _between(here, old[name], new[name])


def _lists(path: tuple[str | int, ...], old: list[object], new: list[object]) -> Iterator[Difference]:
    """What both begin and end with stays; between, items are compared by place, and the rest is removed or added."""
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    both = min(len(before), len(after))
    for at in range(both):
        yield from _between((*path, start + at), before[at], after[at])
    # From the back, so that every index still means what it meant when the change before it was made.
    for at in range(len(before) - 1, both - 1, -1):
        yield Difference("remove", pointer(*path, start + at), old=before[at])
    for at in range(both, len(after)):
        yield Difference("add", pointer(*path, start + at), value=after[at])


def _alike(old: list[object], new: list[object]) -> int:
    """How many items from the front are the same."""
    count = 0
    for mine, other in zip(old, new, strict=False):
        if not _same(mine, other):
            break
        count += 1
    return count


def _same(old: object, new: object) -> bool:
    """Equal as JSON: `1` is `1.0`, and neither is `true`; Python would call all three equal."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[name], new[name]) for name in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return old == new
