"""map, filter, each and expression, and the CEL behind them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.graph import builtin, config_faults
from polis.runtime.component import StepFailed
from polis.runtime.components.expressions import compiled

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


async def test_map_makes_a_message_by_an_expression(run):
    assert (await run("map", {"n": 2}, expression="item.n * 2")).out() == [4]


async def test_map_makes_an_object_by_fields(run):
    step = await run("map", {"n": 2, "s": "x"}, fields={"twice": "item.n * 2", "text": "item.s + '!'"})

    assert step.out() == [{"twice": 4, "text": "x!"}]


async def test_filter_sends_what_fails_the_condition_to_rest(run):
    step = await run("filter", {"bulk": True}, {"bulk": False}, expression="!item.bulk")

    assert step.out() == [{"bulk": False}]
    assert step.out("rest") == [{"bulk": True}]


async def test_a_condition_that_is_neither_true_nor_false_is_an_error(run):
    with pytest.raises(StepFailed, match="not a string"):
        await run("filter", {"bulk": "yes"}, expression="item.bulk")


async def test_a_missing_field_is_an_error_and_not_false(run):
    with pytest.raises(StepFailed, match="bulk") as failure:
        await run("filter", {}, expression="!item.bulk")

    assert failure.value.kind == "expression.failed"


async def test_each_computes_every_item_with_its_place(run):
    step = await run("each", ["a", "b"], expression="item + string(index)")

    assert step.out() == [["a0", "b1"]]


async def test_each_of_a_long_list_tells_its_progress(run):
    step = await run("each", list(range(450)), expression="item + 1")

    assert step.out() == [list(range(1, 451))]
    assert step.done == [(200, 450), (400, 450), (450, 450)]


@pytest.mark.parametrize(
    ("key", "config"),
    [
        ("each", {"expression": "item.map(x, x).size()"}),
        ("sort", {"by": ["item.map(x, x).size()"]}),
    ],
)
async def test_items_that_take_long_leave_others_the_loop_in_between(run, key, config):
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await run(key, [list(range(2_000))] * 5, **config)
    beside.cancel()

    assert turns >= 5


async def test_each_takes_lists_only(run):
    with pytest.raises(StepFailed, match="takes a list"):
        await run("each", "abc", expression="item")


async def test_expression_sees_inputs_that_are_not_connected_as_null(run):
    step = await run("expression", ports=[{"a": 2, "b": 3}], expression="c == null ? a + b : 0")

    assert step.out() == [5]


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("item.", "expression.invalid", "line 1, column"),
        ("nobody", "expression.invalid", "undeclared reference to 'nobody'"),
        ("1 + 'a'", "expression.invalid", "no matching overload"),
        ("1 / 0", "expression.failed", "divide by zero"),
        ("[1].map(a, a" + " + a" * 9 + ")", "expression.invalid", "more than 8 additions"),
        ("[1] // '\n.map(a, a" + " + a" * 9 + ") // '", "expression.invalid", "more than 8 additions"),
        ("[1].// of\nmap(a, a" + " + a" * 9 + ")", "expression.invalid", "more than 8 additions"),
        (
            "'''\\''' ''' == '' || [1].map(a, a" + " + a" * 9 + ") == ['''x''']",
            "expression.invalid",
            "more than 8",
        ),
        ("x" * 4_001, "expression.invalid", "at most 4000 characters"),
        ("b'a'", "expression.not_json", "no form in JSON"),
        ("0.0 / 0.0", "expression.not_json", "no form in JSON"),
        ("{1: 2}", "expression.not_json", "keys of an object are strings"),
    ],
)
def test_an_expression_that_has_no_json_value_is_an_error_that_says_why(source, kind, message):
    with pytest.raises(StepFailed, match=message) as failure:
        compiled(source).value({"item": 1})

    assert failure.value.kind == kind


def test_an_expression_that_runs_too_long_is_an_error():
    source = "item.all(a, item.all(b, item.all(c, true)))"

    with pytest.raises(StepFailed, match="too many iterations"):
        compiled(source).holds({"item": list(range(1000))})


LONG = list(range(2_001))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("item.map(x, x)", LONG),
        ("item . rows\n.filter(x, true)", {"rows": LONG}),
        ("[item][0].map(x, x)", LONG),
        ("item.parts.map(item, item.map(x, x))", {"parts": [LONG]}),
        ("item.parts.map(p, p.rows.filter(x, true))", {"parts": [{"rows": LONG}]}),
    ],
)
def test_longer_lists_than_an_expression_copies_soon_are_refused_before_it_does(source, value):
    with pytest.raises(StepFailed, match="2,000 items at the most") as failure:
        compiled(source).value({"item": value})

    assert failure.value.kind == "expression.too_large"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("item.map(x, x).size() == 2000", LONG[1:]),
        ("item.few.filter(x, x > 1).size() == 1", {"few": [1, 2], "rows": LONG}),
        ("item.size() > 1 && '.map(x, x)' != ''", LONG),
        ("item.exists(x, x == 7)", LONG),
        ("!has(item.rows) || item.rows.map(x, x).size() > 0", {}),
    ],
)
def test_what_copies_no_long_list_is_evaluated(source, value):
    assert compiled(source).holds({"item": value}) is True


def test_a_result_that_is_small_in_cel_but_huge_as_json_is_an_error():
    nested = "[item,item,item,item,item,item,item,item]" + ".map(a, [a,a,a,a,a,a,a,a])" * 6

    with pytest.raises(StepFailed) as failure:
        compiled(nested).value({"item": "x" * 1000})

    assert failure.value.kind in ("expression.too_large", "expression.failed")


def test_a_plus_inside_a_text_is_no_addition():
    assert compiled("[1].map(a, '+ + + + + + + + + +' + string(a))").value({"item": 0}) == [
        "+ + + + + + + + + +1"
    ]


def test_times_are_texts_as_cel_maps_them_to_json():
    assert compiled("timestamp('2026-03-02T10:00:00+01:00')").value({"item": 0}) == "2026-03-02T09:00:00Z"
    assert compiled("duration('1m30s')").value({"item": 0}) == "90s"


@given(json_values)
def test_json_goes_through_an_expression_unchanged(value):
    assert compiled("item").value({"item": value}) == value


@pytest.mark.parametrize(
    ("key", "config", "pointer"),
    [
        ("map", {"expression": "item +"}, "/expression"),
        ("map", {"fields": {"good": "1", "a/b": "nobody"}}, "/fields/a~1b"),
        ("each", {"expression": "index + nobody"}, "/expression"),
        ("filter", {"expression": ")"}, "/expression"),
        ("expression", {"expression": "item"}, "/expression"),
        ("log", {"expression": "nobody"}, "/expression"),
        ("template", {"template": "{{#open}}"}, "/template"),
    ],
)
def test_a_configuration_that_cannot_work_is_found_before_the_run(key, config, pointer):
    assert [fault.pointer for fault in config_faults(builtin.components()[key], config)] == [pointer]


def test_each_knows_index_and_map_does_not():
    assert config_faults(builtin.components()["each"], {"expression": "index"}) == ()
    assert len(config_faults(builtin.components()["map"], {"expression": "index"})) == 1
