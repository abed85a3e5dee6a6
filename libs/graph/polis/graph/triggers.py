"""What is wrong with the triggers of a graph: schedules without a slot, conditions that do not compile, inputs that do not fit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

from polis.graph.faults import GraphFaults, Malformed, pointer
from polis.graph.formats.cel import program
from polis.graph.formats.moment import zone
from polis.graph.formats.names import refuse_event
from polis.graph.schema import compiled
from polis.proto.problems import Fault
from polis.proto.trigger import OnEvent, OnMessage, Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polis.proto.graph import Graph
    from polis.proto.trigger import TriggerSpec

_ANY_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
_CRON_FIELDS = 5
_DAY = timedelta(days=1)


def trigger_faults(graph: Graph) -> Iterator[Fault]:
    """Everything that keeps a trigger of this graph from firing."""
    for name, spec in graph.triggers.items():
        yield from _input_faults(graph, name, spec)
        at = pointer("triggers", name, "on")
        if isinstance(spec.on, Schedule):
            yield from schedule_faults(spec.on, at)
        elif isinstance(spec.on, OnEvent):
            yield from _event_faults(spec.on, at)
        elif isinstance(spec.on, OnMessage):
            yield from _message_faults(spec.on, at)
            if spec.agent is None:
                yield Fault(
                    pointer("triggers", name), "a trigger for messages names the agent that they are for"
                )


def schedule_faults(schedule: Schedule, at: str = "") -> Iterator[Fault]:
    """What is wrong with a schedule that stands at this pointer."""
    ways = [schedule.cron is not None, schedule.every_s is not None, bool(schedule.at)]
    if sum(ways) != 1:
        yield Fault(at, "a schedule has one of `cron`, `every_s` and `at`")
    try:
        zone(schedule.timezone)
    except Malformed as error:
        yield Fault(f"{at}/timezone", str(error))
    if schedule.cron is not None and (fault := _cron_fault(schedule.cron)):
        yield Fault(f"{at}/cron", fault)
    for index, time in enumerate(schedule.at):
        if not _reads(datetime, time):
            yield Fault(f"{at}/at/{index}", "there is no such time")
    for index, day in enumerate(schedule.excluded):
        if not _reads(date, day):
            yield Fault(f"{at}/excluded/{index}", "there is no such date")


def _cron_fault(cron: str) -> str:
    if len(cron.split()) != _CRON_FIELDS:
        return "a cron expression has five fields: minute, hour, day of month, month, day of week"
    try:
        if next(CronSim(cron, _ANY_MOMENT), None) is None:
            return "no time fits this expression"
    except CronSimError as error:
        return str(error)
    return ""


def _reads(kind: type[date], text: str) -> bool:
    """Whether it is one, with a day in front of it and one behind: in another zone it may be that day."""
    try:
        read = kind.fromisoformat(text)
        return read - _DAY < read < read + _DAY
    except (ValueError, OverflowError):
        return False


def _event_faults(event: OnEvent, at: str) -> Iterator[Fault]:
    try:
        refuse_event(event.type)
    except Malformed as error:
        yield Fault(f"{at}/type", str(error))
    if event.condition and (fault := _condition_fault(event.condition, "event")):
        yield Fault(f"{at}/condition", fault)
    if event.debounce_s is not None and event.throttle_s is not None:
        yield Fault(f"{at}/throttle_s", "what is debounced cannot be throttled too")


def _message_faults(message: OnMessage, at: str) -> Iterator[Fault]:
    if message.condition and (fault := _condition_fault(message.condition, "message")):
        yield Fault(f"{at}/condition", fault)


def _condition_fault(condition: str, variable: str) -> str:
    try:
        program(condition, (variable,))
    except Malformed as error:
        return str(error)
    return ""


def _input_faults(graph: Graph, name: str, spec: TriggerSpec) -> Iterator[Fault]:
    """Constants have to fit the graph's inputs, and all that it requires has to come from somewhere."""
    for key, value in spec.input.items():
        if key not in graph.inputs:
            yield Fault(pointer("triggers", name, "input", key), "the graph has no such input")
            continue
        try:
            yield from compiled(graph.inputs[key].schema).faults(value, "triggers", name, "input", key)
        except GraphFaults:  # of the input itself, which is told there
            continue
    if spec.into is not None and spec.into not in graph.inputs:
        yield Fault(pointer("triggers", name, "into"), f"the graph has no input `{spec.into}`")
    if spec.into is not None and spec.into in spec.input:
        yield Fault(pointer("triggers", name, "into"), "this input has a value already")
    given = {*spec.input, spec.into}
    for key, entry in graph.inputs.items():
        if entry.required and entry.default is None and key not in given:
            yield Fault(pointer("triggers", name), f"nothing arrives at the graph's input `{key}`")
