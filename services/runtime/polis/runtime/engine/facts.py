"""What the steps of a run have done so far, as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.proto.runtime import Step

if TYPE_CHECKING:
    from polis.runtime.engine.machine import Machine


class Facts:
    """The facts of every step of one run, in topological order."""

    __slots__ = ("_machine", "_steps")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._steps: list[Step] = []

    def renewed(self, changed: int) -> tuple[Step, ...]:
        """Bring the facts up to date of the steps whose marks are set; those that differ from what was told."""
        machine = self._machine
        indexes = [index for index, node in enumerate(machine.nodes) if changed & node.stage.mark]
        if self._steps:
            for index in indexes:
                self._steps[index] = machine.nodes[index].facts(machine.created_at)
        steps = self.all
        return tuple(steps[index] for index in indexes)

    @property
    def all(self) -> tuple[Step, ...]:
        if not self._steps:
            self._steps = [node.facts(self._machine.created_at) for node in self._machine.nodes]
        return tuple(self._steps)
