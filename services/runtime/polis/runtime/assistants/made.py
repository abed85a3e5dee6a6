"""The graph of an assistant as it is to work in an org: with its settings in their places, and for its agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast
from uuid import UUID

import msgspec

from polis.graph import GraphFaults, compiled
from polis.proto.assistant import Assistant, Setting
from polis.proto.problems import Fault

Content = dict[str, object]


def graph_of(assistant: Assistant, settings: Mapping[str, object]) -> tuple[Content, tuple[Fault, ...]]:
    """The graph's content with these settings, and everything that is wrong with them."""
    faults = [*_faults(assistant.settings, settings)]
    content: Content = msgspec.to_builtins(assistant.graph)
    for name, value in settings.items():
        places = assistant.settings[name].at if name in assistant.settings else ()
        faults += [
            Fault(f"/settings/{name}", f"the assistant's graph has no place {pointer}")
            for pointer in places
            if not _put(content, pointer, value)
        ]
    return content, tuple(faults)


def for_agent(content: Content, agent_id: UUID) -> Content:
    """The same with triggers for this very agent: one that is made anew under its key gets a version of its own."""
    triggers = cast("Mapping[str, Content]", content.get("triggers", {}))
    return {**content, "triggers": {n: {**each, "agent": str(agent_id)} for n, each in triggers.items()}}


def _faults(known: Mapping[str, Setting], given: Mapping[str, object]) -> Iterator[Fault]:
    for name in given.keys() - known.keys():
        yield Fault(f"/settings/{name}", "the assistant has no such setting")
    for name, setting in known.items():
        if name not in given:
            if setting.required:
                yield Fault(f"/settings/{name}", setting.description or "this setting is missing")
            continue
        try:
            yield from compiled(setting.schema).faults(given[name], "settings", name)
        except GraphFaults as error:  # of the assistant's author
            yield from error.faults


def _put(content: Content, pointer: str, value: object) -> bool:
    """Set a member of an object in the content; what stands above it is made where only objects are missing."""
    *above, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    place: object = content
    for name in above:
        if not isinstance(place, dict):
            return False
        place = place.setdefault(name, {})
    if not isinstance(place, dict):
        return False
    place[last] = value
    return True
