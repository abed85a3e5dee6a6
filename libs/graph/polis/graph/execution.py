"""What runs a component: whether its declaration fits that, and whether there is anything that runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.graph import builtin
from polis.proto.graph import External, JavaScript
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polis.proto.graph import Component


def execution_faults(component: Component) -> Iterator[Fault]:
    """What a declaration says that its execution cannot keep."""
    execution = component.execution
    if execution is None:
        return
    if component.collects:
        yield Fault(
            "/collects", "only what is part of the runtime collects: this takes each message by itself"
        )
    if component.body is not None:
        yield Fault("/body", "only what is part of the runtime runs graphs")
    if component.scopes:
        yield Fault("/scopes", "only what is part of the runtime acts with the run's rights")
    if isinstance(execution, JavaScript) and component.effects:
        yield Fault("/effects", "a script has none: it reaches nothing")
    if isinstance(execution, External) and component.pure:
        yield Fault("/pure", "what is done outside is not pure: say `false`")


def unrunnable(component: Component) -> Iterator[Fault]:
    """Why nothing would run a component of an org, although its declaration holds together."""
    if component.execution is not None:
        return
    shipped = builtin.components().get(component.key)
    if shipped is None:
        yield Fault("/execution", f"required: `{component.key}` is no part of the runtime")
    elif signature(shipped) != signature(component):
        yield Fault(
            "/execution", f"required: the `{component.key}` of the runtime has other ports or works otherwise"
        )


def signature(component: Component) -> object:
    """What an implementation relies on; texts and schemas may differ between versions of a runtime that meet."""
    return (
        component.inputs.keys(),
        component.outputs.keys(),
        component.pure,
        component.merge,
        component.collects,
        component.body,
    )
