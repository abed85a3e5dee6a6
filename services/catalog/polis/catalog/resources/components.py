"""Whether a content is a component: its declaration holds together, something runs it, and a script of its own can be called."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from polis import graph
from polis.graph import GraphFaults
from polis.javascript import Script, ScriptFailed
from polis.proto import Refused
from polis.proto.graph import Component, JavaScript
from polis.proto.problems import Fault, Overloaded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polis.javascript import Pool

_SOURCE = "/execution/source"
_LOADED_IN_S = 0.2
"""Of the processor's time: what a script does before it is ever called."""


async def check(key: str, content: Mapping[str, object], scripts: Pool, *, owner: str) -> None:
    """GraphFaults with everything that is wrong."""
    component = await asyncio.to_thread(_declared, key, content)
    if isinstance(component.execution, JavaScript):
        await _check_script(component.execution, scripts, owner)


def _declared(key: str, content: Mapping[str, object]) -> Component:
    component = graph.read_component(content)
    if component.key != key:
        raise GraphFaults([Fault("/key", f"the resource's key is `{key}`, not `{component.key}`")])
    graph.check_component(component)
    if faults := tuple(graph.unrunnable(component)):
        raise GraphFaults(faults)
    return component


async def _check_script(execution: JavaScript, scripts: Pool, owner: str) -> None:
    """It is read, and what stands at its top is done once, where scripts are run: never in this process."""
    script = Script(owner, execution.source, timeout_s=_LOADED_IN_S, memory_mb=execution.memory_mb)
    try:
        await scripts.check(script)
    except ScriptFailed as failed:
        if failed.kind == "overloaded":
            raise Refused(Overloaded(retry_after_s=1)) from None
        if failed.kind == "unavailable":
            raise Refused(Unavailable(dependency="scripts")) from None
        raise GraphFaults([Fault(_SOURCE, str(failed))]) from None
