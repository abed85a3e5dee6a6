"""DBOS Transact at its defaults: durable workflows of five steps. It runs in a venv that knows nothing of this project."""

import asyncio
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS

DBOS(
    config={
        "name": "peer",
        "system_database_url": os.environ["DATABASE_URL"],
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
def step(x):
    return x


@DBOS.workflow()
def in_threads(x):
    return step(step(step(step(step(x)))))


@DBOS.step()
async def astep(x):
    return x


@DBOS.workflow()
async def in_tasks(x):
    return await astep(await astep(await astep(await astep(await astep(x)))))


def threads(callers, seconds):
    end, waits = time.perf_counter() + seconds, []

    def call():
        while (begun := time.perf_counter()) < end:
            in_threads(1)
            waits.append(time.perf_counter() - begun)

    with ThreadPoolExecutor(callers) as pool:
        for future in [pool.submit(call) for _ in range(callers)]:
            future.result()
    return waits


async def tasks(callers, seconds):
    end, waits = time.perf_counter() + seconds, []

    async def call():
        while (begun := time.perf_counter()) < end:
            await in_tasks(1)
            waits.append(time.perf_counter() - begun)

    await asyncio.gather(*(call() for _ in range(callers)))
    return waits


def measure(kind, callers, seconds):
    began = time.perf_counter()
    waits = threads(callers, seconds) if kind == "threads" else asyncio.run(tasks(callers, seconds))
    took = time.perf_counter() - began
    waits.sort()
    return len(waits) / took, waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100] * 1000


def main():
    DBOS.launch()
    for line in sys.stdin:
        print(json.dumps(measure(**json.loads(line))), flush=True)
    DBOS.destroy()


main()
