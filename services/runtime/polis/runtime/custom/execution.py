"""What runs a component: the runtime itself, or what its declaration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.proto.graph import External, JavaScript
from polis.runtime.component import implementation
from polis.runtime.custom import job, script

if TYPE_CHECKING:
    from polis.proto.graph import Component
    from polis.runtime.component import Implementation


def executed(component: Component) -> Implementation | None:
    """None for one that this runtime does not have."""
    match component.execution:
        case JavaScript() as execution:
            return script.implementation(component, execution)
        case External() as execution:
            return job.implementation(component, execution)
        case None:
            return implementation(component.key)
