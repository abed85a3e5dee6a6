"""Components that run a graph: graph, each.graph, loop and while. They say how often and with what; the engine runs it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from polis.runtime.component import BodyFailed, Inputs, NestedStep, StepFailed, component
from polis.runtime.components.expressions import compiled

ROUND = ("state", "round")
"""What a condition may speak of."""
AHEAD = 4
"""Results that wait for an earlier one, for each item at work: so many items are begun beyond the first unfinished one."""
TOLD_EVERY = 1_000
"""Items between two reports of progress."""


@component("graph")
class Once:
    """One turn, whose outputs are the node's."""

    at_once = 1

    def __init__(self, step: NestedStep, inputs: Inputs) -> None:
        self._step = step
        self._inputs: Inputs | None = inputs

    def next(self) -> Mapping[str, object] | None:
        inputs, self._inputs = self._inputs, None
        return inputs

    def ended(self, _: int, outputs: Mapping[str, object]) -> None:
        for name, value in outputs.items():
            several = self._step.body.outputs[name].many and isinstance(value, list)
            for message in value if several and isinstance(value, list) else [value]:
                self._step.emit(name, message)

    def failed(self, _: int, failure: BodyFailed) -> None:
        raise _failed(failure)

    def finish(self) -> None:
        """What there was to give was given when the turn ended."""


class EachConfig(Struct, frozen=True):
    """Configuration of each.graph."""

    graph: dict[str, object]
    at_once: int = 8
    ordered: bool = True


@component("each.graph")
class EachGraph:
    """A turn for each item of a list. Results leave in the order of the items, or as they come."""

    def __init__(self, step: NestedStep, inputs: Inputs) -> None:
        items = inputs["in"]
        if not isinstance(items, list):
            raise StepFailed("each.not_a_list", f"each takes a list, not {type(items).__name__}")
        config = msgspec.convert(step.config, EachConfig)
        self.at_once = config.at_once
        self._step = step
        self._items = items
        self._shared = {name: value for name, value in inputs.items() if name != "in"}
        self._ordered = config.ordered
        self._lists, self._parts = step.listens("out"), step.listens("failed")
        self._begun = self._let_go = 0
        self._held: dict[int, object] = {}
        self._results: list[tuple[int, object]] = []
        self._stopped = False

    def next(self) -> Mapping[str, object] | None:
        number = self._begun
        ahead = self._ordered and number - self._let_go >= AHEAD * self.at_once
        if self._stopped or ahead or number == len(self._items):
            return None
        self._begun += 1
        return {**self._shared, "item": self._items[number], "index": number}

    def ended(self, number: int, outputs: Mapping[str, object]) -> None:
        names = self._step.body.outputs
        self._take(number, outputs.get(next(iter(names))) if len(names) == 1 else dict(outputs))

    def failed(self, number: int, failure: BodyFailed) -> None:
        if not (self._parts or self._ordered):
            raise _failed(failure)
        self._stopped = not self._parts
        self._take(number, failure)

    def finish(self) -> None:
        if self._lists:
            self._results.sort(key=_number)
            self._step.place(len(self._items), "out", [value for _, value in self._results])

    def _take(self, number: int, result: object) -> None:
        if not self._ordered:
            self._give(number, result)
            return
        self._held[number] = result
        while self._let_go in self._held:
            self._give(self._let_go, self._held.pop(self._let_go))
            self._let_go += 1

    def _give(self, number: int, result: object) -> None:
        step = self._step
        if isinstance(result, BodyFailed):
            if not self._parts:
                raise _failed(result)
            told = {"step": result.step, "kind": result.kind, "message": result.message}
            step.place(number, "failed", {"index": number, "item": self._items[number], **told})
        else:
            step.place(number, "item", result)
            if self._lists:
                self._results.append((number, result))
        if number % TOLD_EVERY == 0:
            step.progress(number, len(self._items))


class _Rounds:
    """Turns one after the other, each with the state that the one before gave."""

    at_once = 1

    def __init__(self, step: NestedStep, inputs: Inputs) -> None:
        self._step = step
        self._shared = {name: value for name, value in inputs.items() if name != "in"}
        self._at_work = False
        self.state = inputs["in"]
        self.round = 0

    def goes_on(self) -> bool:
        """Whether there is another round."""
        raise NotImplementedError

    def next(self) -> Mapping[str, object] | None:
        if self._at_work or not self.goes_on():
            return None
        self._at_work = True
        return {**self._shared, "state": self.state, "round": self.round}

    def ended(self, number: int, outputs: Mapping[str, object]) -> None:
        if "state" not in outputs:
            raise StepFailed("loop.no_state", f"round {number} gave no `state`")
        self.state = outputs["state"]
        self.round += 1
        self._at_work = False

    def failed(self, _: int, failure: BodyFailed) -> None:
        raise _failed(failure)

    def finish(self) -> None:
        self._step.emit("out", self.state)


class LoopConfig(Struct, frozen=True):
    """Configuration of loop."""

    graph: dict[str, object]
    times: int = 0
    until: str = ""
    most: int = 1_000


class WhileConfig(Struct, frozen=True):
    """Configuration of while."""

    graph: dict[str, object]
    condition: str
    most: int = 1_000


@component("loop")
class Loop(_Rounds):
    """Rounds by number, or until a condition holds."""

    def __init__(self, step: NestedStep, inputs: Inputs) -> None:
        super().__init__(step, inputs)
        self._config = msgspec.convert(step.config, LoopConfig)

    def goes_on(self) -> bool:
        config = self._config
        if not config.until:
            return self.round < config.times
        return self.round == 0 or not _holds(config.until, self, config.most, wanted=True)


@component("while")
class While(_Rounds):
    """Rounds for as long as a condition holds."""

    def __init__(self, step: NestedStep, inputs: Inputs) -> None:
        super().__init__(step, inputs)
        self._config = msgspec.convert(step.config, WhileConfig)

    def goes_on(self) -> bool:
        return _holds(self._config.condition, self, self._config.most, wanted=False)


def _holds(source: str, rounds: _Rounds, most: int, *, wanted: bool) -> bool:
    """Whether a condition holds now. StepFailed when what is wanted has not come about within the bound."""
    holds = compiled(source, ROUND).holds({"state": rounds.state, "round": rounds.round})
    if holds is not wanted and rounds.round >= most:
        raise StepFailed("loop.bound", f"it would go on after {most:,} rounds (`most`)")
    return holds


def _failed(failure: BodyFailed) -> StepFailed:
    return StepFailed(failure.kind, failure.message, retryable=failure.retryable, step=failure.step)


def _number(result: tuple[int, object]) -> int:
    return result[0]
