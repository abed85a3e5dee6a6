"""passthrough, merge, merge.all, split and collect."""

import pytest

from polis.runtime.component import StepFailed


async def test_passthrough_gives_the_message_on(run):
    step = await run("passthrough", {"a": [1]})

    assert step.out() == [{"a": [1]}]


async def test_merge_gives_on_each_message_of_any_input(run):
    step = await run("merge", ports=[{"a": 1}, {"c": 2}, {"a": None}])

    assert step.out() == [1, 2, None]


async def test_merge_all_makes_one_object_of_the_inputs(run):
    step = await run("merge.all", ports=[{"a": 1, "c": [2]}])

    assert step.out() == [{"a": 1, "c": [2]}]


async def test_split_emits_the_items_in_order_and_asks_for_room_on_the_way(run):
    rooms = []
    step = await run("split", list(range(200)), on_room=lambda: rooms.append(1))

    assert step.out() == list(range(200))
    assert len(rooms) == 3


async def test_what_is_no_list_cannot_be_split(run):
    with pytest.raises(StepFailed, match="only a list") as failure:
        await run("split", {"a": 1})

    assert failure.value.kind == "split.not_a_list"


async def test_collect_emits_all_messages_as_one_list_at_the_end(run):
    assert (await run("collect", 1, "b", None)).out() == [[1, "b", None]]


async def test_collect_emits_an_empty_list_when_nothing_came(run):
    assert (await run("collect")).out() == [[]]


async def test_collect_says_when_more_comes_than_it_may_hold(run):
    with pytest.raises(StepFailed, match="more than 2 messages") as failure:
        await run("collect", 1, 2, 3, max_items=2)

    assert failure.value.kind == "collect.too_many"
    assert not failure.value.retryable
