"""Whether a configuration can work: it fits its schema, its texts are of their formats, its fields agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.graph.execution import unrunnable
from polis.graph.faults import pointer
from polis.graph.formats import format_faults
from polis.graph.rules import RULES
from polis.graph.schema import compiled
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polis.proto.graph import Component


def config_faults(component: Component, config: Mapping[str, object], *path: str | int) -> tuple[Fault, ...]:
    """Everything that is wrong, each at its pointer behind `path`. GraphFaults when the component's schema is none.

    What a step is configured with is certain before its graph is stored: nothing else looks at it when it runs.
    """
    found = compiled(component.config).faults(config, *path)
    found = found or tuple(format_faults(component.config, config, *path))
    rule = RULES.get(component.key)
    if found or rule is None or component.execution is not None or any(unrunnable(component)):
        return found
    return tuple(Fault(pointer(*path) + fault.pointer, fault.detail) for fault in rule(config))
