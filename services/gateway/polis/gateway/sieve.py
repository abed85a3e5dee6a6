"""What of a topic a follower is told: which kinds of changes, and which of their fields. What is left out still counts.

The number of a later frame is past what was left out; where nothing else comes, an empty one tells the number now and then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from polis.gateway.heard import HeardEntry, as_told
from polis.proto.live import OrgEvent
from polis.proto.messaging import ConversationChange, ConversationSnapshot
from polis.proto.runtime import RunLogChange, RunSnapshot, Transition

if TYPE_CHECKING:
    from polis.gateway.audience import Thing

TOLD_EVERY = 64
"""At the latest behind so many changes that are left out, a follower is told how far it is."""
_Tree = dict[str, Any]
_json = msgspec.json.Encoder(enc_hook=as_told)


class Sieve:
    """kinds, fields: nothing means all, but lines of a run's log, which clients of transitions do not expect. Equal ones let the same through."""

    __slots__ = ("_key", "_tree", "kinds")

    def __init__(self, kinds: tuple[str, ...] = (), fields: tuple[str, ...] = ()) -> None:
        self.kinds = frozenset(kinds)
        self._tree = _tree_of(frozenset(fields))
        self._key = (self.kinds, frozenset(fields))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sieve) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def passes(self, seq: int, things: Sequence[Thing]) -> bool:
        """Whether changes that are left out pass a number that is told, whatever was left out before."""
        return bool(self.kinds) and seq // TOLD_EVERY != (seq - len(things)) // TOLD_EVERY

    def each(self, things: Sequence[Thing]) -> Iterator[tuple[Thing, object]]:
        """Those that are told, one by one, each with what of it is."""
        for thing in things:
            if told := self.chosen((thing,)):
                yield thing, told[0]

    def chosen(self, things: Sequence[Thing]) -> Sequence[object]:
        """Of these changes the ones that are told, with the fields that are."""
        if self.kinds:
            things = [thing for thing in things if kind_of(thing) in self.kinds]
        elif things and isinstance(things[0], RunLogChange):  # they come by themselves
            return ()
        return [_masked(thing, self._tree) for thing in things] if self._tree else things

    def sifted(self, snapshot: object) -> object:
        """A snapshot whose changes are those that are told; what it says of the state is whole."""
        if not (self.kinds or self._tree):
            return snapshot
        if isinstance(snapshot, RunSnapshot):
            return _with(snapshot, "transitions", self.chosen(snapshot.transitions))
        if isinstance(snapshot, ConversationSnapshot):
            changes = self.chosen([ConversationChange(entry.seq, entry=entry) for entry in snapshot.entries])
            return _with(snapshot, "entries", [_entry(change) for change in changes])
        return snapshot


def kind_of(thing: object) -> str:
    """By what a change is asked for."""
    if isinstance(thing, Transition):
        return thing.state if thing.step is None else "step"
    if isinstance(thing, (OrgEvent, HeardEntry)):
        return thing.kind
    if isinstance(thing, ConversationChange) and thing.entry is not None:
        return thing.entry.kind
    if isinstance(thing, Struct):
        told = [name for name in thing.__struct_fields__[1:] if getattr(thing, name) is not None]
        return told[0] if told else ""
    return ""


def _entry(change: object) -> object:
    if isinstance(change, ConversationChange):
        return change.entry
    assert isinstance(change, dict)  # noqa: S101 - what is masked is one
    return {"seq": change["seq"], **change.get("entry", {})}


def _with(snapshot: Struct, name: str, things: Sequence[object]) -> object:
    return {field: getattr(snapshot, field) for field in snapshot.__struct_fields__} | {name: things}


@lru_cache(maxsize=1024)
def _tree_of(fields: frozenset[str]) -> _Tree:
    """`entry.kind` and `entry.at` as one branch with two leaves; a whole field takes in its parts."""
    tree: _Tree = {}
    for path in sorted(fields):
        branch: Any = tree
        *steps, leaf = path.split(".")
        for step in steps:
            branch = branch.setdefault(step, {})
            if branch is None:
                break
        else:
            branch[leaf] = None
    return tree


def _masked(thing: Thing, tree: _Tree) -> object:
    """The fields of a change, and its number."""
    content = msgspec.json.decode(_json.encode(thing))
    return {"seq": thing.seq} | _picked(content, tree)


def _picked(content: dict[str, Any], tree: _Tree) -> dict[str, Any]:
    return {
        name: _picked(content[name], below) if below and isinstance(content[name], dict) else content[name]
        for name, below in tree.items()
        if name in content
    }


@lru_cache(maxsize=1024)
def sieve(kinds: tuple[str, ...], fields: tuple[str, ...]) -> Sieve:
    """The one of these wishes."""
    return Sieve(kinds, fields)
