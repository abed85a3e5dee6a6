"""What a run means: message passing, merging, errors, retries, timeouts, bounds. In virtual time, without a shell."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import msgspec
import pytest

from polis.graph import GraphFaults
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.runtime.component import Implementation, Inputs, Step, StepFailed
from polis.runtime.components.nested import Once
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.node import INBOX
from polis.runtime.engine.program import compile_program
from polis.runtime.engine.requests import Abort, Ended, Launch
from polis.runtime.engine.simulated import pause
from polis.runtime.engine.simulation import Chances, World

IN, OUT = {"in": Port()}, {"out": Port()}
TEXT = {"type": "string"}


def same(step: Step, inputs: Inputs) -> None:
    for message in inputs.values():
        step.emit("out", message)


def split(step: Step, inputs: Inputs) -> None:
    for item in inputs["in"]:
        step.emit("out", item)


def sides(step: Step, inputs: Inputs) -> None:
    step.emit("odd" if inputs["in"] % 2 else "even", inputs["in"])


def pair(step: Step, inputs: Inputs) -> None:
    step.emit("out", [inputs["a"], inputs["b"]])


def refuse(step: Step, inputs: Inputs) -> None:
    if inputs["in"] == "bad":
        raise StepFailed("test.bad", "this one is bad")
    step.emit("out", inputs["in"])


def crash(step: Step, inputs: Inputs) -> None:
    raise ZeroDivisionError("with a secret")


async def wait(step: Step, inputs: Inputs) -> None:
    for _ in range(1000):
        await pause()


async def slow_first(step: Step, inputs: Inputs) -> None:
    """The earlier an item, the longer it takes."""
    for _ in range(10 - inputs["in"]):
        await pause()
    step.emit("out", inputs["in"])


class Listed:
    def __init__(self, step: Step) -> None:
        self.step, self.items = step, []

    def receive(self, inputs: Inputs) -> None:
        if inputs["in"] == "bad":
            raise StepFailed("test.bad", "this one is bad")
        self.items.append(inputs["in"])

    async def finish(self) -> None:
        self.step.emit("out", self.items)


def component(key: str, **fields: object) -> Component:
    return Component(key=key, title=key, **{"inputs": IN, "outputs": OUT, **fields})


KINDS = {
    kind.component.key: kind
    for kind in (
        Implementation(component("same", inputs={"in": Port(), "more": Port(required=False)}), inline=same),
        Implementation(component("split"), inline=split),
        Implementation(component("sides", outputs={"odd": Port(), "even": Port()}), inline=sides),
        Implementation(component("pair", inputs={"a": Port(), "b": Port()}, merge="all"), inline=pair),
        Implementation(component("refuse"), inline=refuse),
        Implementation(component("note", pure=False), inline=same),
        Implementation(component("crash"), inline=crash),
        Implementation(component("wait"), task=wait),
        Implementation(component("slow_first"), task=slow_first),
        Implementation(component("list", collects=True), collector=Listed),
        Implementation(component("source", inputs={}), inline=lambda step, _: step.emit("out", "made")),
        Implementation(
            component("inner", inputs={}, outputs={}, config={"type": "object"}, body="once"), driver=Once
        ),
        Implementation(component("text", inputs={"in": Port(schema=TEXT)}), inline=same),
    )
}


def world(graph: Graph, inputs: Mapping[str, object] | None = None, kinds=KINDS, seed: int = 1) -> World:
    components = {key: kind.component for key, kind in kinds.items()}
    program = compile_program(graph, components, kinds.get)
    course = World(seed, program, inputs or {}, Chances())
    course.run()
    return course


def run(graph: Graph, inputs: Mapping[str, object] | None = None, kinds=KINDS) -> dict[str, object]:
    (end,) = world(graph, inputs, kinds).ends
    assert end.error is None, end.error
    return msgspec.json.decode(end.output)


def failure(graph: Graph, inputs: Mapping[str, object] | None = None, kinds=KINDS) -> tuple[str, str]:
    (end,) = world(graph, inputs, kinds).ends
    assert end.state == "failed"
    return end.error.step, end.error.kind


def chain(*keys: str, **fields: object) -> Graph:
    """n0 -> n1 -> ..., from the input `x` to the outputs `last` and `all`."""
    last = f"n{len(keys) - 1}.out"
    return Graph(
        nodes={f"n{i}": Node(key, **(fields if i == len(keys) - 1 else {})) for i, key in enumerate(keys)},
        edges=tuple(Edge(f"n{i}.out", f"n{i + 1}.in") for i in range(len(keys) - 1)),
        inputs={"x": GraphInput("n0.in", required=False)},
        outputs={"last": GraphOutput(last), "all": GraphOutput(last, many=True)},
    )


def test_messages_pass_from_port_to_port_and_outputs_keep_the_last_or_all():
    assert run(chain("same", "split", "same"), {"x": [1, 2, 3]}) == {"last": 3, "all": [1, 2, 3]}


def test_only_ports_that_emit_fire_and_a_node_that_nothing_reaches_is_skipped():
    graph = Graph(
        nodes={"s": Node("sides"), "o": Node("same"), "e": Node("same"), "after": Node("same")},
        edges=(Edge("s.odd", "o.in"), Edge("s.even", "e.in"), Edge("e.out", "after.in")),
        inputs={"x": GraphInput("s.in")},
        outputs={"odd": GraphOutput("o.out"), "even": GraphOutput("after.out", many=True)},
    )
    machine = run_machine(graph, {"x": 5})

    assert {s.node: s.state for s in machine.steps()} == {
        "s": "succeeded", "o": "succeeded", "e": "skipped", "after": "skipped",
    }  # fmt: skip
    assert machine.requests == [Ended("succeeded", b'{"odd":5,"even":[]}')]


def test_a_message_goes_along_every_edge_of_its_port():
    graph = Graph(
        nodes={"a": Node("same"), "b": Node("same"), "c": Node("same")},
        edges=(Edge("a.out", "b.in"), Edge("a.out", "c.in")),
        inputs={"x": GraphInput("a.in")},
        outputs={"b": GraphOutput("b.out"), "c": GraphOutput("c.out")},
    )

    assert run(graph, {"x": 1}) == {"b": 1, "c": 1}


def test_merge_any_fires_on_each_message():
    graph = Graph(
        nodes={"m": Node("same"), "l": Node("list")},
        edges=(Edge("m.out", "l.in"),),
        inputs={"x": GraphInput("m.in"), "y": GraphInput("m.more")},
        outputs={"o": GraphOutput("l.out")},
    )

    assert run(graph, {"x": 1, "y": 2}) == {"o": [1, 2]}


def test_merge_all_takes_the_ports_together_and_ends_with_the_shortest():
    graph = Graph(
        nodes={"l": Node("split"), "r": Node("split"), "p": Node("pair")},
        edges=(Edge("l.out", "p.a"), Edge("r.out", "p.b")),
        inputs={"l": GraphInput("l.in"), "r": GraphInput("r.in")},
        outputs={"o": GraphOutput("p.out", many=True)},
    )

    assert run(graph, {"l": [1, 2, 3], "r": ["a", "b"]}) == {"o": [[1, "a"], [2, "b"]]}
    assert run(graph, {"l": [1], "r": list(range(5000))}) == {"o": [[1, 0]]}
    assert run(graph, {"l": [], "r": [1]}) == {"o": []}


def test_results_leave_a_node_in_the_order_of_their_items_although_they_end_otherwise():
    assert run(chain("split", "slow_first"), {"x": list(range(10))}) == {"last": 9, "all": list(range(10))}


def test_a_collector_emits_at_the_end_also_when_nothing_came():
    assert run(chain("split", "list"), {"x": [1, 2]})["last"] == [1, 2]
    assert run(chain("split", "list"), {"x": []})["last"] == []
    assert run(chain("same", "list"))["last"] == []


def test_a_node_without_inputs_fires_once():
    assert run(Graph(nodes={"s": Node("source")}, outputs={"o": GraphOutput("s.out", many=True)})) == {
        "o": ["made"]
    }


def test_an_input_that_is_left_out_takes_its_default_or_sends_nothing():
    graph = Graph(
        nodes={"m": Node("same"), "p": Node("pair")},
        inputs={
            "x": GraphInput("m.in", default="d", required=False), "y": GraphInput("m.more", required=False),
            "a": GraphInput("p.a"), "b": GraphInput("p.b", required=False),
        },
        outputs={"m": GraphOutput("m.out", many=True), "p": GraphOutput("p.out", many=True)},
    )  # fmt: skip

    kinds = {
        **KINDS,
        "pair": Implementation(KINDS["pair"].component, inline=lambda s, i: s.emit("out", dict(i))),
    }
    assert run(graph, {"a": 1}, kinds) == {"m": ["d"], "p": [{"a": 1}]}


def test_a_failure_without_an_edge_for_it_fails_the_run_and_names_the_step():
    assert failure(chain("split", "refuse", "same"), {"x": ["good", "bad", "good"]}) == ("n1", "test.bad")


def test_a_failure_with_an_edge_goes_there_with_its_inputs_and_the_run_goes_on():
    graph = Graph(
        nodes={"s": Node("split"), "r": Node("refuse")},
        edges=(Edge("s.out", "r.in"),),
        inputs={"x": GraphInput("s.in")},
        outputs={"good": GraphOutput("r.out", many=True), "bad": GraphOutput("r.error", many=True)},
    )

    assert run(graph, {"x": ["a", "bad", "b"]}) == {
        "good": ["a", "b"],
        "bad": [
            {
                "step": "r",
                "kind": "test.bad",
                "message": "this one is bad",
                "inputs": {"in": "bad"},
                "attempts": 1,
            }
        ],
    }


def test_an_exception_that_nobody_foresaw_fails_the_step_and_its_text_stays_inside():
    noticed = []

    class Host(_Host):
        def crashed(self, node: str, error: Exception) -> None:
            noticed.append((node, str(error)))

    machine = run_machine(chain("crash"), {"x": 1}, Host())

    assert machine.requests[-1].error.message == "it raised ZeroDivisionError"
    assert noticed == [("n0", "with a secret")]


def test_a_collector_that_refuses_a_message_fails_the_run():
    assert failure(chain("split", "list"), {"x": [1, "bad", 2]}) == ("n1", "test.bad")


def test_a_value_that_its_port_does_not_take_is_refused_where_only_running_can_tell():
    assert failure(chain("split", "text"), {"x": ["a", 5]}) == ("n1", "input.invalid")


def test_a_port_that_the_component_does_not_have_is_a_failure():
    kinds = {"x": Implementation(component("x"), inline=lambda step, _: step.emit("oops", 1))}

    assert failure(chain("x"), {"x": 1}, kinds) == ("n0", "port.unknown")


@pytest.mark.parametrize("shape", ["inline", "task", "effect"])
def test_a_step_is_tried_again_with_the_same_key_until_it_works(shape: str):
    keys = []

    def flaky(step: Step, inputs: Inputs) -> None:
        keys.append(step.key)
        step.emit("out", "before")
        if len(keys) < 3:
            raise StepFailed("test.later", "not yet", retryable=True)
        step.emit("out", inputs["in"])

    async def task(step: Step, inputs: Inputs) -> None:
        flaky(step, inputs)

    kinds = {
        "inline": Implementation(component("f"), inline=flaky),
        "task": Implementation(component("f"), task=task),
        "effect": Implementation(component("f", pure=False), task=task),
    }
    course = world(chain("f", retry=Retry(attempts=3, delay_s=2)), {"x": 1}, {"f": kinds[shape]})

    assert msgspec.json.decode(course.ends[0].output)["all"] == ["before", 1]
    assert keys == ["run/n0/-"] * 3
    assert course.now > 0.1


def test_attempts_have_an_end_and_what_is_not_retryable_has_one():
    calls = []

    def flaky(step: Step, inputs: Inputs) -> None:
        calls.append(1)
        raise StepFailed("test.later", "not yet", retryable=inputs["in"])

    kinds = {"f": Implementation(component("f"), inline=flaky)}

    assert failure(chain("f", retry=Retry(attempts=4)), {"x": True}, kinds) == ("n0", "test.later")
    assert len(calls) == 4
    assert failure(chain("f", retry=Retry(attempts=4)), {"x": False}, kinds) == ("n0", "test.later")
    assert len(calls) == 5


def test_a_step_that_takes_too_long_is_stopped_and_may_be_tried_again():
    assert failure(chain("wait", timeout_s=3.0), {"x": 1}) == ("n0", "step.timeout")
    course = world(chain("wait", timeout_s=3.0, retry=Retry(attempts=2, delay_s=1)), {"x": 1})
    assert course.ends[0].error.kind == "step.timeout"
    assert 6.0 <= course.now <= 12.0


def test_a_run_that_takes_too_long_fails_and_names_a_step_that_was_at_work():
    graph = msgspec.structs.replace(chain("same", "wait"), timeout_s=5.0)

    assert failure(graph, {"x": 1}) == ("n1", "run.timeout")


def test_outputs_are_bounded():
    big = "x" * 600_000

    assert failure(chain("same"), {"x": big * 2}) == ("n0", "output.too_large")
    assert failure(chain("split"), {"x": [big, big]}) == ("n0", "output.too_large")
    listed = msgspec.structs.replace(chain("split"), outputs={"all": GraphOutput("n0.out", many=True)})
    assert failure(listed, {"x": [big, big]}) == ("n0", "output.too_large")
    assert failure(listed, {"x": [object()]}) == ("n0", "output.invalid")
    assert [step.state for step in run_machine(listed, {"x": [object()]}).steps()] == ["failed"]
    assert failure(chain("same"), {"x": object()})[1] == "output.invalid"


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("graph", "kind"),
    [
        (chain("same"), "output.invalid"),
        (
            msgspec.structs.replace(chain("same"), outputs={"y": GraphOutput("n0.out", many=True)}),
            "output.invalid",
        ),
        (chain("note"), "step.result_invalid"),
    ],
)
def test_what_cannot_be_written_fails_its_run(graph, kind):
    assert failure(graph, {"x": nested(5_000)}) == ("n0", kind)
    assert failure(graph, {"x": "\ud800"}) == ("n0", kind)


def test_the_result_of_an_effect_is_bounded_and_json():
    assert failure(chain("note"), {"x": "x" * 1_100_000}) == ("n0", "step.result_too_large")
    assert failure(chain("note"), {"x": object()}) == ("n0", "step.result_invalid")


def test_inboxes_are_bounded_whoever_emits_fast():
    """A source that asks for room is held back by the slowest node, three nodes further on."""
    longest = []

    async def pour(step: Step, inputs: Inputs) -> None:
        for i in range(inputs["in"]):
            step.emit("out", i)
            await step.room()

    async def sip(step: Step, inputs: Inputs) -> None:
        longest.append(max(len(node.inbox) for node in step.activation.machine.nodes))
        await pause()
        step.emit("out", inputs["in"])

    kinds = {
        **KINDS,
        "pour": Implementation(component("pour"), task=pour),
        "sip": Implementation(component("sip"), task=sip),
    }

    assert run(chain("pour", "same", "same", "sip"), {"x": 2000}, kinds)["all"] == list(range(2000))
    assert max(longest) <= INBOX + 1


def test_a_collector_that_passes_on_as_messages_come_is_held_back_by_what_is_behind_it():
    waiting = []

    class Passing(Listed):
        def receive(self, inputs: Inputs) -> None:
            self.step.emit("out", inputs["in"])

        async def finish(self) -> None:
            self.step.emit("out", "end")

    async def sip(step: Step, inputs: Inputs) -> None:
        waiting.append(len(step.activation.node.inbox))
        await pause()
        step.emit("out", inputs["in"])

    kinds = {
        **KINDS,
        "pass": Implementation(component("pass", collects=True), collector=Passing),
        "sip": Implementation(component("sip"), task=sip),
    }

    found = run(chain("split", "pass", "sip"), {"x": list(range(500))}, kinds)["all"]

    assert found == [*range(500), "end"]
    assert max(waiting) <= INBOX


def test_a_graph_that_bounded_inboxes_lock_up_runs_with_larger_ones():
    """One branch waits for the end of the stream; the other one, at the same pairing node, is full by then."""
    graph = Graph(
        nodes={"s": Node("split"), "l": Node("list"), "p": Node("pair")},
        edges=(Edge("s.out", "l.in"), Edge("s.out", "p.a"), Edge("l.out", "p.b")),
        inputs={"x": GraphInput("s.in")},
        outputs={"o": GraphOutput("p.out", many=True)},
    )
    many = list(range(3000))

    assert run(graph, {"x": many}) == {"o": [[0, many]]}


def test_no_turn_takes_much_longer_than_its_budget():
    clock = iter(range(10**9))
    graph = chain("split", "same", "same")
    machine = Machine("run", program(graph), _Host(), clock=lambda: next(clock) * 0.001, random=Random(1))
    machine.start({"x": list(range(5000))})

    turns = 1
    while machine.turn(0.005):
        turns += 1

    assert machine.state == "succeeded"
    assert turns > 100


def test_after_a_cancel_nothing_has_a_consequence():
    machine = Machine("run", program(chain("note", "note")), _Host(), clock=lambda: 0.0, random=Random(1))
    machine.start({"x": 1})
    machine.turn(1)
    (record,) = machine.requests
    machine.requests.clear()
    machine.cancel()

    machine.recorded(record.activation)
    machine.turn(1)
    machine.wake()

    assert machine.requests == [Ended("cancelled")]
    assert {s.node: s.state for s in machine.steps()} == {"n0": "cancelled", "n1": "cancelled"}


def test_an_effect_waits_for_the_one_before_it_and_the_end_takes_the_last_outcome_with_it():
    machine = Machine(
        "run", program(chain("note", "note", "same")), _Host(), clock=lambda: 0.0, random=Random(1)
    )
    machine.start({"x": 1})
    machine.turn(1)
    (first,) = machine.requests
    assert (first.activation.node.stage.name, machine.nodes[1].attempts) == ("n0", 0)

    machine.requests.clear()
    machine.recorded(first.activation)
    machine.turn(1)

    second, end = machine.requests
    assert second.activation.node.stage.name == "n1"
    assert end == Ended("succeeded", b'{"last":1,"all":[1]}')


def test_a_late_word_of_a_stopped_attempt_is_not_heard():
    now = [0.0]
    graph = chain("wait", timeout_s=1.0, retry=Retry(attempts=3, delay_s=0.001))
    machine = Machine("run", program(graph), _Host(), clock=lambda: now[0], random=Random(1))
    machine.start({"x": 1})
    machine.turn(1)
    first = machine.requests.pop().attempt
    now[0] = 2.0
    machine.wake()
    machine.requests.clear()
    now[0] = 2.5
    machine.wake()
    second = machine.requests.pop().attempt

    first.emit("out", "late")
    machine.finished(first)
    machine.failed(first, StepFailed("x", "y"))
    assert machine.state == "running"
    second.emit("out", "right")
    machine.finished(second)
    machine.turn(1)

    assert msgspec.json.decode(machine.requests[-1].output)["all"] == ["right"]


def test_what_is_at_work_in_a_graph_that_has_failed_is_stopped_and_counts_no_more():
    inner = {
        "nodes": {"refuse": {"component": "refuse"}, "wait": {"component": "wait"}},
        "inputs": {"a": {"target": "wait.in"}, "b": {"target": "refuse.in"}},
        "outputs": {"c": {"source": "refuse.out"}},
    }
    graph = Graph(
        nodes={"inner": Node("inner", config={"graph": inner}), "wait": Node("wait")},
        edges=(Edge("inner.error", "wait.in"),),
        inputs={"a": GraphInput("inner.a"), "b": GraphInput("inner.b")},
    )

    machine = run_machine(graph, {"a": 1, "b": "bad"})

    at_work = [r.attempt for r in machine.requests if isinstance(r, Launch)]
    assert [a.activation.node.stage.path for a in at_work] == ["inner/wait", "wait"]
    assert [r.attempt for r in machine.requests if isinstance(r, Abort)] == at_work[:1]
    assert machine.attempts.running == 1


def test_a_program_is_refused_when_nothing_runs_its_components():
    kinds = {"c": Implementation(component("c", config={}), inline=same)}
    graph = chain("c")

    with pytest.raises(GraphFaults, match="does not run the component `c`"):
        compile_program(graph, {"c": kinds["c"].component}, {}.get)
    other = msgspec.structs.replace(kinds["c"].component, pure=False)
    with pytest.raises(GraphFaults, match="in this version"):
        compile_program(graph, {"c": other}, kinds.get)


class _Host:
    def log(self, node):
        raise NotImplementedError

    def crashed(self, node: str, error: Exception) -> None:
        raise AssertionError(node) from error

    async def room(self, attempt) -> None:
        raise NotImplementedError

    def artifact(self, artifact_id: str):
        raise NotImplementedError


def program(graph: Graph):
    return compile_program(graph, {key: kind.component for key, kind in KINDS.items()}, KINDS.get)


def run_machine(graph: Graph, inputs: Mapping[str, object], host: _Host | None = None) -> Machine:
    machine = Machine("run", program(graph), host or _Host(), clock=lambda: 0.0, random=Random(1))
    machine.start(inputs)
    while machine.turn(1):
        pass
    return machine
