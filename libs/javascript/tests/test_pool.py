"""Workers: shared fairly, started when needed, ended when not, and nobody's call fails for another's."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from polis.javascript import Call, Pool, Script, ScriptFailed, process
from polis.testing import eventually

DOUBLE = "function process(ctx, port, value) { ctx.emit('out', value * 2); }"
LOOP = "function process(ctx, port, value) { for (;;) {} }"


@pytest.fixture
async def pool():
    async with Pool(2, idle_s=0.2) as pool:
        yield pool


def script(source, owner="ada", **bounds):
    return Script(owner, source, ("out",), **bounds)


def number(value):
    return Call("in", value)


async def test_nothing_runs_before_the_first_call_and_nothing_after_the_last(pool):
    assert pool.processes == []

    assert await pool.call(script(DOUBLE), number(21)) == [("out", 42)]
    pids = [each.pid for each in pool.processes]

    assert len(pids) == 1
    await eventually(lambda: pool.processes == [], within_s=5)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_calls_of_a_worker_that_is_killed_are_answered_by_another(pool):
    double = script(DOUBLE)
    await pool.call(double, number(1))

    calls = [asyncio.ensure_future(pool.call(double, number(n))) for n in range(200)]
    await asyncio.sleep(0)
    for each in pool.processes:
        os.kill(each.pid, signal.SIGKILL)

    assert await asyncio.gather(*calls) == [[("out", n * 2)] for n in range(200)]


async def test_a_call_that_takes_its_worker_down_fails_alone(pool, monkeypatch):
    """The engine stops what it can see; a worker that it does not stop is ended from outside."""
    monkeypatch.setattr(process, "GRACE_S", 0.3)
    stuck, double = script(LOOP, timeout_s=0.1), script(DOUBLE)
    await pool.call(double, number(1))
    await pool.call(double, number(1))

    calls = [asyncio.ensure_future(pool.call(double, number(n))) for n in range(20)]
    failing = asyncio.ensure_future(pool.call(stuck, number(0)))
    await eventually(lambda: any(a.script is stuck for p in pool.processes for a in p.asked), within_s=5)
    for each in pool.processes:
        if any(a.script is stuck for a in each.asked):
            os.kill(each.pid, signal.SIGSTOP)

    with pytest.raises(ScriptFailed) as caught:
        await failing
    assert caught.value.kind == "timeout"
    assert await asyncio.gather(*calls) == [[("out", n * 2)] for n in range(20)]


async def test_one_owners_slow_calls_leave_a_worker_to_the_others(pool):
    slow = [asyncio.ensure_future(pool.call(script(LOOP, "eve", timeout_s=0.5), number(n))) for n in range(6)]
    await eventually(lambda: len(pool.processes) == 1, within_s=5)

    assert await pool.call(script(DOUBLE), number(1)) == [("out", 2)]

    assert sum(call.done() for call in slow) <= 2
    for call in slow:
        call.cancel()


async def test_the_same_key_and_time_give_the_same_chance_and_another_key_another(pool):
    chance = script(
        "function process(ctx) { ctx.emit('out', [Math.random(), Math.random(), Date.now(), ctx.key]); }"
    )

    first = await pool.call(chance, Call("in", 0, key="run/step/0", now_ms=5))
    again = await pool.call(chance, Call("in", 0, key="run/step/0", now_ms=5))
    other = await pool.call(chance, Call("in", 0, key="run/step/1", now_ms=5))

    assert first == again
    assert first[0][1][2:] == [5, "run/step/0"]
    assert first[0][1][0] != first[0][1][1] != other[0][1][1]


async def test_configuration_port_and_many_messages_reach_the_script_and_come_back(pool):
    many = script(
        "function process(ctx, port, value) { for (const v of value) ctx.emit('out', [port, v, ctx.config.by]); }"
    )

    emitted = await pool.call(many, Call("in", ["ä", None, {"x": [1.5]}], {"by": 3}))

    assert emitted == [("out", ["in", v, 3]) for v in ("ä", None, {"x": [1.5]})]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("function process(ctx) {\n  let x = ;\n}", "line 2, column"),
        ("const handle = () => 1;", "it defines no function `process`"),
        ("const process = 5;", "it defines no function `process`"),
        ("throw new Error('no'); function process() {}", "Error: no"),
        ("export function process() {}", "without `export`"),
    ],
)
async def test_what_is_wrong_with_a_source_is_said_before_it_is_ever_called(pool, source, said):
    with pytest.raises(ScriptFailed, match=said) as caught:
        await pool.check(script(source))

    assert caught.value.kind == "invalid"


async def test_the_largest_messages_come_and_go_and_larger_ones_are_refused(pool):
    wide = script("function process(c, p, v) { c.emit('out', '€'.repeat(4e6)); }", memory_mb=128)
    same = script("function process(c, p, v) { c.emit('out', v.length); }")

    assert await pool.call(wide, number(0)) == [("out", "€" * 4_000_000)]
    assert await pool.call(same, number("x" * 4_000_000)) == [("out", 4_000_000)]
    with pytest.raises(ScriptFailed) as caught:
        await pool.call(same, number("x" * 5_000_000))
    assert caught.value.kind == "too_large"


@pytest.mark.parametrize("length", [10, 600, 1999, 9_000, 100_000])
async def test_a_long_error_is_told_and_cut_off_also_where_it_was_put_together(pool, length):
    failing = f"let m = ''; while (m.length < {length}) m += 'é'.repeat(997) + m; throw new Error(m);"

    with pytest.raises(ScriptFailed) as called:
        await pool.call(script(f"function process() {{ {failing} }}"), number(0))
    with pytest.raises(ScriptFailed) as checked:
        await pool.check(script(f"{failing} function process() {{}}"))

    assert [(e.value.kind, str(e.value)[:9], len(str(e.value)) <= 2000) for e in (called, checked)] == [
        ("error", "Error: éé", True),
        ("invalid", "Error: éé", True),
    ]


async def test_the_same_source_of_two_owners_has_a_realm_for_each(pool):
    ada, ben = script(DOUBLE, "ada"), script(DOUBLE, "ben")
    for owned in (ada, ben, ada):
        await pool.call(owned, number(1))

    (worker,) = pool.processes
    assert ada.key != ben.key
    assert set(worker._known) == {ada.key, ben.key}
