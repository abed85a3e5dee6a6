"""Which failures are tried again, what the error port says of them, and attempts that are silent for too long."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from polis.proto.graph import Component, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.runtime.component import Implementation, Inputs, Step, StepFailed
from polis.runtime.engine.program import compile_program
from polis.runtime.engine.simulated import pause
from polis.runtime.engine.simulation import Chances, World

IN, OUT = {"in": Port()}, {"out": Port()}


async def fail(step: Step, inputs: Inputs) -> None:
    await pause()
    kind, retryable = inputs["in"]
    raise StepFailed(kind, "it does not work", retryable=retryable)


async def work(step: Step, inputs: Inputs) -> None:
    """Says now and then that it is alive, or never."""
    for number in range(40):
        await pause()
        if inputs["in"] and number % 2:
            step.heartbeat()
    step.emit("out", "done")


KINDS = {
    kind.component.key: kind
    for kind in (
        Implementation(Component("fail", "", inputs=IN, outputs=OUT, pure=False), task=fail),
        Implementation(Component("work", "", inputs=IN, outputs=OUT, pure=False), task=work),
    )
}


def run(
    key: str, value: object, chances: Chances | None = None, **node
) -> dict[str, list[dict[str, object]]]:
    graph = Graph(
        nodes={"n": Node(key, **node)},
        inputs={"x": GraphInput("n.in")},
        outputs={"out": GraphOutput("n.out", many=True), "error": GraphOutput("n.error", many=True)},
    )
    program = compile_program(graph, {k: kind.component for k, kind in KINDS.items()}, KINDS.get)
    course = World(1, program, {"x": value}, chances or Chances())
    course.run()
    return msgspec.json.decode(course.ends[0].output)


@pytest.mark.parametrize(
    ("kind", "retryable", "on", "not_on", "attempts"),
    [
        ("http.503", True, (), (), 4),
        ("http.404", False, (), (), 1),
        ("http.404", False, ("http.*",), (), 4),
        ("http.404", False, ("http.404",), (), 4),
        ("https.404", False, ("http.*",), (), 1),
        ("step.timeout", True, ("http.*",), (), 1),
        ("http.503", True, (), ("http.*",), 1),
        ("http.404", True, ("*",), ("http.404",), 1),
        ("http.503", False, ("*",), ("http.404",), 4),
    ],
)
def test_failures_are_tried_again_by_kind_and_the_error_says_how_often(kind, retryable, on, not_on, attempts):
    retry = Retry(attempts=4, delay_s=0.1, on=on, not_on=not_on)

    [told] = run("fail", [kind, retryable], retry=retry)["error"]

    assert (told["kind"], told["attempts"]) == (kind, attempts)


def test_how_often_is_the_same_after_a_crash():
    crashing = Chances(crash=0.2)

    [told] = run("fail", ["http.503", True], crashing, retry=Retry(attempts=4, delay_s=0.1))["error"]

    assert told["attempts"] == 4


@pytest.mark.parametrize("seed", range(40))
def test_how_often_is_the_same_where_the_run_rests_in_between(seed):
    begun = []

    async def note(step: Step, inputs: Inputs) -> None:
        begun.append(course.now)
        await fail(step, inputs)

    kind = msgspec.structs.replace(KINDS["fail"], task=note)
    retry = Retry(attempts=5, delay_s=60, factor=1)
    graph = Graph(
        nodes={"n": Node("fail", retry=retry)},
        inputs={"x": GraphInput("n.in")},
        outputs={"error": GraphOutput("n.error", many=True)},
    )
    program = compile_program(graph, {"fail": kind.component}, {"fail": kind}.get)
    course = World(seed, program, {"x": ["http.503", True]}, Chances())

    course.run()

    [told] = msgspec.json.decode(course.ends[0].output)["error"]
    assert (told["attempts"], len(begun)) == (5, 5)
    waited = [after - before for before, after in pairwise(begun)]
    # An attempt takes some moments, and so does what is between it and the next one.
    assert all(wait < 60 + 20 for wait in waited)
    assert course.parks >= sum(wait > 30 for wait in waited)


def test_an_attempt_that_gives_signs_of_life_may_take_its_time():
    assert run("work", True, heartbeat_timeout_s=3)["out"] == ["done"]


def test_an_attempt_that_is_silent_is_given_up_and_tried_again():
    [told] = run("work", False, heartbeat_timeout_s=3, retry=Retry(attempts=2, delay_s=0.1))["error"]

    assert (told["kind"], told["attempts"]) == ("step.silent", 2)
