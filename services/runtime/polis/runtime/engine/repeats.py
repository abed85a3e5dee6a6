"""Attempts that are made again: after which wait, what of that is durable, and how another process goes on behind them."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING

from polis.runtime.engine.activation import MISSED, Activation, Recorded

if TYPE_CHECKING:
    from polis.proto.graph import Retry
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.machine import Machine

NEAR_S = 5.0
"""The next attempt is waited for in memory if it is due within this: what rests is looked for once a second or so."""


class Repeats:
    """What of a run is to be attempted again.

    waiting: activations between two attempts; deferred: those of them of which it is durable when the next one is.
    """

    __slots__ = ("_machine", "_missed", "_random", "deferred", "waiting")

    def __init__(
        self, machine: Machine, random: Random, recorded: Mapping[tuple[str, Item], Recorded]
    ) -> None:
        self._machine = machine
        self._random = random
        self._missed = _missed(recorded)
        self.waiting = self.deferred = 0

    @property
    def may_rest(self) -> bool:
        """Whether nothing is to be repeated soon, and of all that is it is durable when."""
        if self.waiting != self.deferred:
            return False
        machine = self._machine
        return not self.waiting or machine.attempts.timers.next_repeat > machine.now + NEAR_S

    def ask(self, activation: Activation, retry: Retry) -> None:
        """Make another attempt, after a while. Until one that is far off the run may rest: when it is due is durable."""
        longest = min(retry.max_delay_s, retry.delay_s * retry.factor ** (activation.attempt - 1))
        wait_s = self._random.uniform(0, longest)
        activation.due = self._machine.now + wait_s
        # What is pure is computed again after a rest, and what it had emitted by now would be missed until then.
        again = activation.node.step is None and not activation.accepted
        activation.deferred = wait_s > NEAR_S and again
        if activation.deferred or activation.node.stage.driver is not None:
            self._record(activation)
        else:
            self._await(activation)

    def recorded(self, activation: Activation) -> None:
        """That its attempt has failed is durable."""
        activation.missed = 0
        self._await(activation)

    def go_on(self, activation: Activation) -> None:
        """Make its next attempt when it is due, if some were made before this process had the run."""
        last = self._missed.pop(activation.place, None) if self._missed else None
        if last is None:
            return
        machine, node = self._machine, activation.node
        activation.attempt = last.attempts
        node.attempts += last.attempts
        node.missed += last.attempts
        node.error = machine.error_before(node.stage.path)
        machine.history.missed(activation)
        activation.due = machine.created_at + last.at_ms / 1000
        if activation.due > machine.now:
            activation.deferred = True
            self._await(activation)

    def end(self, activation: Activation) -> None:
        """It is begun again, or nobody waits for it any more."""
        self.waiting -= 1
        self.deferred -= activation.deferred

    def _record(self, activation: Activation) -> None:
        """An attempt counts no more, nor what a graph in a graph did in it, and that is durable before another one does it anew."""
        at_ms = int((activation.due - self._machine.created_at) * 1000) if activation.deferred else 0
        activation.missed = activation.attempt
        # No failure: what is tried again has not failed for good.
        self._machine.attempts.record(activation, Recorded(attempts=activation.attempt, at_ms=at_ms))

    def _await(self, activation: Activation) -> None:
        activation.state = activation.node.state = "retrying"
        activation.frame.touch(activation.node)
        self.waiting += 1
        self.deferred += activation.deferred
        self._machine.attempts.timers.repeat(activation, activation.due)


def _missed(recorded: Mapping[tuple[str, Item], Recorded]) -> dict[tuple[str, Item], Recorded]:
    """By node and item: the last attempt that has failed, of those that the journal has."""
    found: dict[tuple[str, Item], Recorded] = {}
    for (path, item), known in recorded.items():
        if path.endswith(MISSED):
            place = path.removesuffix(MISSED), item[:-1]
            found[place] = max(known, found.get(place, known), key=_attempts)
    return found


def _attempts(known: Recorded) -> int:
    return known.attempts
