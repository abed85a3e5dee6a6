"""What may be asked for of a topic: kinds of its changes, and fields of theirs.

A word that a topic does not know would match nothing, and whoever asked for it would wait for ever.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, get_args

from msgspec import Struct, inspect

from polis.proto import Refused
from polis.proto.contract import events
from polis.proto.live import ANNOUNCED, TOPICS, OrgEvent, Subscribe
from polis.proto.messaging import ConversationChange, EntryKind
from polis.proto.problems import Fault, Invalid
from polis.proto.runtime import RunState, Transition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polis.proto.live import TopicKind

_TOPICS = {topic.kind: topic for topic in TOPICS}


def demand_known(wanted: Subscribe) -> None:
    """Refused(Invalid) for the first wish that nothing on the topic ever meets; what topics there are is not looked at."""
    topic = _TOPICS.get(wanted.topic.partition("/")[0])
    if topic is None:
        return
    for n, kind in enumerate(wanted.kinds):
        if kind not in kinds_of(topic):
            raise _unknown(f"/kinds/{n}", kinds_of(topic))
    for n, path in enumerate(wanted.fields):
        if known := _instead(topic.changes, path):
            raise _unknown(f"/fields/{n}", known)


def _unknown(pointer: str, known: tuple[str, ...]) -> Refused:
    return Refused(Invalid(faults=(Fault(pointer, f"Expected one of {', '.join(known)}"),)))


@cache
def kinds_of(topic: TopicKind) -> tuple[str, ...]:
    """The kinds of its changes (sieve.kind_of)."""
    return tuple(kind for change in topic.changes for kind in _kinds(topic, change))


def _kinds(topic: TopicKind, change: type[Struct]) -> tuple[str, ...]:
    if change is Transition:
        return ("step", *_words(RunState))
    if change is OrgEvent:
        shown = sorted(f"{event.service}.{event.fact}" for event in events() if event.shown)
        return (ANNOUNCED, *shown) if topic.name == "org" else tuple(shown)
    if change is ConversationChange:
        return *_words(EntryKind), *ConversationChange.__struct_fields__[2:]
    return change.__struct_fields__[1:]


def _words(literal: object) -> tuple[str, ...]:
    """Of an annotated literal."""
    words: tuple[str, ...] = get_args(get_args(literal)[0])
    return words


def _instead(changes: tuple[type[Struct], ...], path: str) -> tuple[str, ...]:
    """What changes have where this path leads to nothing; none, where it leads somewhere, or what is there is not known."""
    at, passed = [_described(change) for change in changes], ""
    for name in path.split("."):
        structs = [each for each in at if isinstance(each, inspect.StructType)]
        if len(structs) < len(at):
            return ()
        known = _fields(structs)
        if name not in known:
            return tuple(passed + each for each in sorted(known))
        at, passed = known[name], f"{passed}{name}."
    return ()


def _fields(structs: list[inspect.StructType]) -> dict[str, list[inspect.Type]]:
    """What one of these has, and what each of that may be."""
    known: dict[str, list[inspect.Type]] = {}
    for struct in structs:
        for field in struct.fields:
            known.setdefault(field.encode_name, []).extend(_alternatives(field.type))
        if struct.tag_field is not None:
            known[struct.tag_field] = []
    return known


_described = cache(inspect.type_info)


def _alternatives(described: inspect.Type) -> Iterator[inspect.Type]:
    """What may stand there, but for nothing."""
    if isinstance(described, inspect.Metadata):
        yield from _alternatives(described.type)
    elif isinstance(described, inspect.UnionType):
        for each in described.types:
            yield from _alternatives(each)
    elif not isinstance(described, inspect.NoneType):
        yield described
