"""Components that are executed outside: by real processes in two languages, killed in the middle of their work."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys

import pytest

from polis.testing import eventually

COMPONENT = {
    "key": "orders.price",
    "title": "Price of an order",
    "pure": False,
    "inputs": {"in": {}},
    "outputs": {"out": {}},
    "config": {},
    "execution": {"type": "external", "lease_s": 1.5},
}
GRAPH = {
    "nodes": {
        "orders": {"component": "split"},
        "price": {"component": "orders.price", "config": {"each": 3}},
        "all": {"component": "collect"},
    },
    "edges": [{"source": "orders.out", "target": "price.in"}, {"source": "price.out", "target": "all.in"}],
    "inputs": {"orders": {"target": "orders.in"}},
    "outputs": {"prices": {"source": "all.out"}},
}
SLOW = """
import asyncio, os, sys
from samples.worker import price, worker

@worker.component("orders.price")
async def slow(job):
    print(job.key, flush=True)
    await asyncio.sleep(float(os.environ["SLOW_S"]))
    await price(job)

worker.run()
"""
PYTHON = [sys.executable, "samples/worker.py"]
NODE = ["node", "samples/worker.mjs"]


@pytest.fixture
async def org(ada):
    """An org with the component, a graph that uses it, and a key for workers."""
    for kind, key, content in (("component", "orders.price", COMPONENT), ("graph", "prices", GRAPH)):
        made = await ada.call("POST", "/resources", {"type": kind, "key": key, "content": content})
        await ada.call("POST", f"/resources/{made['id']}/versions", {})
        await ada.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})
    ada.key = (await ada.call("POST", "/keys", {"name": "worker", "scopes": ["runtime:work"]}))["secret"]
    return ada


@pytest.fixture
async def work(org, address):
    """Start a worker process; whatever still lives at the end is killed."""
    started = []

    async def work(*command, **env):
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": ".", "POLIS_ADDRESS": address, "POLIS_KEY": org.key, **env},
        )  # fmt: skip
        started.append(process)
        return process

    yield work
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def start(org, counts):
    orders = [{"id": n, "count": count} for n, count in enumerate(counts)]
    return (await org.call("POST", "/runs", {"graph": "prices", "input": {"orders": orders}}))["id"]


async def prices(org, run_id):
    async def look():
        run = await org.call("GET", f"/runs/{run_id}")
        assert run["state"] not in ("failed", "cancelled"), run
        return run["state"] == "succeeded"

    await eventually(look, within_s=40)
    given = (await org.call("GET", f"/runs/{run_id}/output"))["values"]["prices"]
    return [each["price"] for each in given]


@pytest.mark.parametrize("command", [PYTHON, NODE], ids=["python", "javascript"])
async def test_a_worker_with_nothing_but_a_key_does_the_jobs_of_a_run(org, work, command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    await work(*command)

    run = await start(org, range(20))
    failing = await start(org, [1, -1])

    assert await prices(org, run) == [3 * n for n in range(20)]
    failed = await eventually(lambda: _failed(org, failing), within_s=20)
    assert (failed["step"], failed["kind"]) == ("price", "order.invalid")


async def _failed(org, run_id):
    return (await org.call("GET", f"/runs/{run_id}")).get("error")


async def test_what_a_killed_worker_was_at_is_done_by_another_and_counts_once(org, work):
    victim = await work(sys.executable, "-c", SLOW, SLOW_S="60")
    run = await start(org, [1, 2, 3])
    for _ in range(3):
        await asyncio.wait_for(victim.stdout.readline(), 30)

    victim.kill()
    await work(*PYTHON)

    assert await prices(org, run) == [3, 6, 9]


async def test_a_worker_that_is_asked_to_stop_ends_what_it_has_begun(org, work):
    worker = await work(sys.executable, "-c", SLOW, SLOW_S="1")
    run = await start(org, [5])
    await asyncio.wait_for(worker.stdout.readline(), 30)

    worker.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(worker.wait(), 30) == 0
    assert await prices(org, run) == [15]
