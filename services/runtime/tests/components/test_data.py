"""Components on lists, streams and objects: what the examples of their descriptors do not show."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.graph import builtin, config_faults
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.runtime.component import StepFailed, implementation
from polis.runtime.components.data.lists import identity, rank
from polis.runtime.engine.program import compile_program
from polis.runtime.engine.simulation import Chances, World

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(st.lists(scalars | st.lists(scalars, max_size=3)))
def test_values_of_all_types_have_one_order(items):
    ordered = sorted(items, key=rank)

    assert [rank(item)[0] for item in ordered] == sorted(rank(item)[0] for item in ordered)


def test_equal_numbers_are_one_key_and_true_is_no_number():
    assert identity({"b": 1.0, "a": [2]}) == identity({"a": [2.0], "b": 1})
    assert identity(True) != identity(1)
    assert identity("1") != identity(1)


async def test_equal_items_keep_their_places_in_both_directions(run):
    rows = [{"k": 1, "n": n} for n in range(3)]

    assert (await run("sort", rows, by=["item.k"])).out() == [rows]
    assert (await run("sort", rows, by=["item.k"], descending=True)).out() == [rows]


async def test_dedupe_forgets_what_is_over_its_bound_and_no_more(run):
    step = await run("dedupe", 1, 2, 1, 3, 2, remember=2)

    assert step.out() == [1, 2, 3, 2]
    assert step.out("rest") == [1]


async def test_windows_with_a_gap_leave_out_what_lies_in_it(run):
    assert (await run("window", *range(8), size=2, step=3)).out() == [[0, 1], [3, 4], [6, 7]]


async def test_pick_takes_all_but_what_is_dropped_and_a_new_name_wins(run):
    step = await run("pick", {"a": 1, "b": 2, "c": 3}, drop=["c"], rename={"a": "b"})

    assert step.out() == [{"b": 1}]


@pytest.mark.parametrize("key", ["sort", "group", "aggregate"])
async def test_a_list_over_the_bound_is_refused_before_anything_is_computed(key, run):
    config = {"group": {"by": "1/0"}, "aggregate": {"measures": {"n": {"op": "count", "value": "1/0"}}}}

    with pytest.raises(StepFailed) as failure:
        await run(key, [0] * 100_001, **config.get(key, {}))

    assert failure.value.kind == "list.too_long"


async def test_a_join_that_multiplies_ends_at_its_bound(run):
    with pytest.raises(StepFailed) as failure:
        await run("join", ports=[{"left": [1] * 1000, "right": [1] * 1000}], left="item", max_items=5000)

    assert failure.value.kind == "join.too_many"


@pytest.mark.parametrize(
    ("items", "kind"),
    [(["a"], "not_a_number"), ([True], "not_a_number"), ([2**53, 1], "too_large"), ([1e308, 1e308], "too_large")],
)  # fmt: skip
async def test_a_sum_that_is_none_is_an_error(items, kind, run):
    with pytest.raises(StepFailed) as failure:
        await run("aggregate", items, measures={"total": {"op": "sum", "value": "item"}})

    assert failure.value.kind == f"aggregate.{kind}"


async def test_a_switch_may_send_to_every_case_that_holds(run):
    step = await run("switch", 5, cases=["item > 1", "item > 9", "item > 4"], all=True)

    assert step.sent == [("case1", 5), ("case3", 5)]


async def test_fail_says_its_kind_and_the_bounded_detail(run):
    with pytest.raises(StepFailed) as failure:
        await run("fail", "x" * 9000, kind="order.bad", message="no: ", detail="item")

    assert failure.value.kind == "order.bad"
    assert str(failure.value) == "no: " + "x" * 500


async def test_a_missing_field_is_named(run):
    with pytest.raises(StepFailed, match="`b`"):
        await run("pick", {"a": 1}, keep=["a", "b"], missing="error")


@pytest.mark.parametrize(
    ("key", "config", "pointer"),
    [
        ("sort", {"by": ["item", "nobody"]}, "/by/1"),
        ("aggregate", {"measures": {"n": {"op": "sum", "value": "("}}}, "/measures/n/value"),
        ("aggregate", {"by": "item", "measures": {"key": {"op": "count"}}}, "/measures/key"),
        ("schema.check", {"schema": {"pattern": "(?=a)"}}, "/schema"),
        ("schema.check", {"schema": {"$ref": "https://example.org/"}}, "/schema/$ref"),
        ("switch", {"cases": ["true", "nobody"]}, "/cases/1"),
        ("fail", {"kind": "a", "message": "b", "when": ")"}, "/when"),
        ("pick", {"rename": {"a": "c", "b": "c"}}, "/rename"),
    ],
)
def test_a_configuration_that_cannot_work_is_found_before_the_run(key, config, pointer):
    assert [fault.pointer for fault in config_faults(builtin.components()[key], config)][:1] == [pointer]


def test_streams_go_through_a_whole_graph_in_order():
    """In the engine, which holds back, replays and takes graphs of pure functions straight through."""
    keys = ("split", "dedupe", "limit", "window", "map", "collect")
    configs = ({}, {}, {"skip": 1, "take": 200}, {"size": 3}, {"expression": "item[0]"}, {})
    names = [f"n{place}" for place in range(len(keys))]
    graph = Graph(
        nodes={name: Node(*each) for name, *each in zip(names, keys, configs, strict=True)},
        edges=tuple(Edge(f"{one}.out", f"{other}.in") for one, other in pairwise(names)),
        inputs={"x": GraphInput("n0.in")},
        outputs={"y": GraphOutput("n5.out")},
    )
    program = compile_program(graph, builtin.components(), implementation)
    world = World(1, program, {"x": [n // 2 for n in range(1000)]}, Chances())

    world.run()

    (end,) = world.ends
    assert msgspec.json.decode(end.output) == {"y": list(range(1, 201, 3))}
