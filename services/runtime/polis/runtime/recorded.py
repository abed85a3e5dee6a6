"""Recorded runs: what a run executed, what its journal held and how it ended, so that any later version can be held to it.

`python -m polis.runtime.recorded ORG RUN --postgres URL > NAME.json` records one that has ended; its values are in the file as they
are, so only record what may be shown. The tests replay every file in `services/runtime/tests/recorded`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Collection, Mapping
from random import Random
from typing import TYPE_CHECKING, cast
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import Database
from polis.graph import GraphUse
from polis.proto.runtime import RunError, Step
from polis.runtime.component import Implementation, Inputs, StepFailed, implementation
from polis.runtime.component import Step as StepOf
from polis.runtime.engine import item as items
from polis.runtime.engine.activation import Recorded
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.program import Program, compile_program
from polis.runtime.engine.requests import Ended, HandOver, Launch, Record, Room
from polis.runtime.engine.undoing import END
from polis.runtime.runs.lines import LOG
from polis.runtime.shell.programs import Bundle

if TYPE_CHECKING:
    from polis.runtime.engine.activation import Attempt, Host
    from polis.runtime.engine.item import Item

_RUN = "run"
_recorded = msgspec.json.Decoder(Recorded)

Place = tuple[str, "Item"]


class Fact(Struct, frozen=True, order=True):
    """What a step came to."""

    node: str
    state: str
    received: int
    emitted: int


class Outcome(Struct, frozen=True):
    """A row of the journal."""

    node: str
    item: str
    body: msgspec.Raw


class Recording(Struct, frozen=True):
    """A run as it was."""

    bundle: Bundle
    input: dict[str, object]
    journal: tuple[Outcome, ...]
    state: str
    output: dict[str, object] | None
    error: RunError | None
    steps: tuple[Fact, ...]


class Replayed(Struct, frozen=True):
    """What a run comes to now. done: the effects that were done because the journal did not have them."""

    state: str
    output: dict[str, object] | None
    error: RunError | None
    steps: tuple[Fact, ...]
    done: tuple[Place, ...]


class _RunRow(Struct, frozen=True):
    input: bytes
    state: str
    output: bytes | None
    error: bytes | None
    steps: bytes
    content: bytes


class _OutcomeRow(Struct, frozen=True):
    node: str
    item: str
    body: bytes


async def record(database: Database, org_id: UUID, run_id: UUID) -> Recording:
    """A run that has ended. LookupError when there is none."""
    async with database.transaction([org_id]) as tx:
        row = await tx.row(
            _RunRow,
            """
            select r.input, r.state, r.output, r.error, r.steps, p.content
            from runtime.runs r join runtime.programs p on p.org_id = r.org_id and p.digest = r.program
            where r.org_id = $1 and r.id = $2 and r.ended_at is not null
            """,
            org_id,
            run_id,
        )
        if row is None:
            raise LookupError(f"no run {run_id} of this org that has ended")
        rows = await tx.rows(
            _OutcomeRow,
            """
            select node, item, body from runtime.journal
            where org_id = $1 and run_id = $2 and node <> $3 order by node, item
            """,
            org_id,
            run_id,
            LOG,
        )
    return Recording(
        bundle=msgspec.json.decode(row.content, type=Bundle),
        input=msgspec.json.decode(row.input, type=dict[str, object]),
        journal=tuple(Outcome(r.node, r.item, msgspec.Raw(r.body)) for r in rows),
        state=row.state,
        output=None if row.output is None else msgspec.json.decode(row.output),
        error=None if row.error is None else msgspec.json.decode(row.error, type=RunError),
        steps=_facts(msgspec.json.decode(row.steps, type=tuple[Step, ...])),
    )


def replay(recording: Recording, *, without: Collection[Place] = ()) -> Replayed:
    """Execute it again by its journal. without: outcomes that are not in it, and are brought when they are asked for.

    How the run ends (`END`) is found again. A run that was cancelled from outside cannot be replayed.
    """
    journal = {(o.node, items.parse(o.item)): _recorded.decode(o.body) for o in recording.journal}
    world = _Outside(journal, recording)
    known = {place: outcome for place, outcome in journal.items() if place not in without and place != END}
    before: tuple[Step, ...] = ()
    while True:
        machine = Machine(
            _RUN,
            world.program,
            cast("Host", world),
            clock=time.monotonic,
            random=Random(1),  # noqa: S311 - nothing of it is to show
            recorded=known,
        )
        machine.recall(before)
        ended = world.execute(machine, recording.input)
        if isinstance(ended, Ended):
            break
        machine.changes()
        before = machine.steps()
        known = {**known, **world.outcomes, END: _recorded.decode(ended.verdict)}
    machine.changes()
    output = None if ended.output is None else msgspec.json.decode(ended.output)
    return Replayed(ended.state, output, ended.error, _facts(machine.steps()), tuple(world.outcomes))


class _Outside:
    """In place of all that has an effect: it comes to what the journal says that it came to."""

    def __init__(self, journal: Mapping[Place, Recorded], recording: Recording) -> None:
        self.journal = journal
        self.outcomes: dict[Place, Recorded] = {}
        bundle = recording.bundle
        graphs = {GraphUse.parse(name): graph for name, graph in bundle.graphs.items()}
        self.program: Program = compile_program(bundle.graph, bundle.components, self._look_up, graphs)

    def log(self, _node: str) -> _Outside:
        return self

    def info(self, _event: str, **_fields: object) -> None:
        """Nobody listens."""

    warning = info

    def crashed(self, node: str, error: Exception) -> None:
        raise AssertionError(f"{node} crashed") from error

    def execute(self, machine: Machine, inputs: Mapping[str, object]) -> Ended | HandOver:
        """Drive it to its end; outcomes are durable at once."""
        machine.start(inputs)
        while True:
            machine.turn(1.0)
            requests, machine.requests = machine.requests, []
            if not requests and machine.state == "running":
                raise AssertionError("the run does not go on")
            for request in requests:
                match request:
                    case Ended() | HandOver():
                        return request
                    case Record(activation=activation, body=body):
                        self.outcomes[activation.place] = _recorded.decode(body)
                        machine.recorded(activation)
                    case Launch(attempt=attempt) | Room(attempt=attempt):
                        self._work(machine, attempt)
                    case _:
                        pass

    def _look_up(self, key: str) -> Implementation | None:
        found = implementation(key)
        if found is None or found.component.pure or found.driver is not None:
            return found
        return Implementation(found.component, task=self._act, needs=found.needs)

    async def _act(self, step: StepOf, _inputs: Inputs) -> None:
        activation = cast("Attempt", step).activation
        known = self.journal[activation.place]
        for port, value in known.emitted:
            step.emit(port, value)
        if known.failure is not None:
            raise StepFailed(known.failure.kind, known.failure.message, step=known.failure.step)

    def _work(self, machine: Machine, attempt: Attempt) -> None:
        node, inputs = attempt.activation.node, attempt.activation.inputs
        if node.collector is not None:
            work = node.collector.finish()
        elif node.stage.task is not None:
            work = node.stage.task(attempt, inputs)
        else:
            raise AssertionError("only tasks and collectors are launched")
        try:
            for _ in work.__await__():
                pass
        except Exception as error:  # noqa: BLE001 - whatever a step raises is the engine's to judge
            machine.failed(attempt, error)
        else:
            machine.finished(attempt)

    async def room(self, attempt: Attempt) -> None:
        """There is always room: what is emitted is taken in the next turn."""


def _facts(steps: Collection[Step]) -> tuple[Fact, ...]:
    return tuple(Fact(step.node, step.state, step.received, step.emitted) for step in steps)


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m polis.runtime.recorded", description=__doc__)
    parser.add_argument("org", type=UUID)
    parser.add_argument("run", type=UUID)
    parser.add_argument("--postgres", required=True, help="URL of the database, as `app_runtime`")
    given = parser.parse_args()
    database = await Database.open(given.postgres, service="runtime", size=1)
    try:
        recording = await record(database, given.org, given.run)
    finally:
        await database.close()
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(recording), indent=1) + b"\n")


if __name__ == "__main__":
    asyncio.run(_main())
