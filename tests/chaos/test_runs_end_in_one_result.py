"""G1, G6, G8, G19. Whatever breaks under runs: each that was accepted ends once, in its one right result, and is told of once.

Kills of the runtime, of PostgreSQL and of the broker, and a frozen runtime that wakes up when its runs are others'.
"""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from polis.proto import Refused, runtime
from polis.proto.problems import DeadlineExceeded, Unavailable
from polis.testing import eventually
from tests.chaos.long_run import GIVEN, LongRun, bytes_of, cpu_s
from tests.chaos.runs import ACTS, ACTS_AT_ONCE, Runs, key, request

_LOOK_S = 0.01
TAKEN_OVER_S = 20.0
"""Of them a lease, and the time in which ten thousand outcomes are read and what lies between them is computed again."""
GONE_ON_S = 10.0
"""Until runs whose rows a frozen runtime has locked go on elsewhere."""
GROWTH_BYTES = 48 * 1024 * 1024
"""Of a process that takes over a run of ten thousand outcomes."""
IN_TRANSACTION = "state <> 'idle' and backend_xid is not null"
"""It has written, or locked rows, and has not committed."""


@pytest.fixture(scope="module")
async def runs(mesh, tmp_path_factory):
    runs = Runs(mesh, tmp_path_factory.mktemp("runs"))
    await runs.begin()
    return runs


async def one_runtime(runs, dice):
    await kill(dice.choice(list(runs.runtimes.values())))


async def every_runtime(runs, dice):
    await kill(*runs.runtimes.values())


async def kill(*processes):
    for process in processes:
        process.kill()
    for process in processes:
        process.start()
    for process in processes:
        await process.ready()


async def postgres(runs, dice):
    server = runs.mesh.postgres
    port = server.port
    server.kill()
    await server.start(port)


async def nats(runs, dice):
    """Runs need no broker to go on: those that were accepted end while it is away, also where nobody heard of it."""
    assert await runs.open()
    runs.mesh.nats.kill()
    await eventually(runs.none_open, within_s=30)
    await runs.mesh.nats.start()


@pytest.mark.parametrize("victim", [one_runtime, every_runtime, postgres, nats])
async def test_every_run_ends_in_its_one_result_after_the_kill_of(victim, runs, dice, full):
    some = 60 if full else 20
    async with runs.load() as load:
        for _ in range(10 if full else 1):
            await load.more(dice.randint(some, 2 * some))
            await victim(runs, dice)
        await load.more(some)

    assert await runs.wrong(load.history) == {}
    assert await load.other_answers() == []
    print(load.history.summary())


async def test_a_runtime_that_was_frozen_past_its_lease_writes_nothing_into_what_is_others_now(
    runs, dice, full
):
    for _ in range(10 if full else 1):
        frozen = dice.choice(list(runs.runtimes.values()))
        async with runs.load() as load:
            await load.more(dice.randint(20, 40))
            held = await eventually(lambda frozen=frozen: frozen_in_mid_run(runs, frozen, "true"))
            await eventually(lambda frozen=frozen: runs.forgotten(frozen), within_s=60)
            before = await runs.recorded_by(frozen, held)
            frozen.resume()
            await load.more(20)

        assert await runs.recorded_by(frozen, held) == before
        assert await runs.wrong(load.history) == {}
        assert await load.other_answers() == []
        print(f"{len(held)} runs were taken over; {load.history.summary()}")


async def test_runs_whose_rows_a_frozen_runtime_has_locked_go_on_elsewhere_within_ten_seconds(
    runs, dice, full
):
    for _ in range(20 if full else 2):
        frozen = dice.choice(list(runs.runtimes.values()))
        async with runs.load() as load:
            await load.more(10)
            await eventually(
                lambda frozen=frozen: frozen_in_mid_run(runs, frozen, IN_TRANSACTION), within_s=30
            )
            since = time.monotonic()
            await eventually(lambda frozen=frozen: none_held(runs, frozen), within_s=GONE_ON_S)
            # In the small form what else the machine does would be judged with it.
            assert not full or time.monotonic() - since <= GONE_ON_S
            frozen.resume()
            await load.more(10)

        assert await runs.wrong(load.history) == {}


async def none_held(runs, process):
    return not await runs.held_by(process)


async def frozen_in_mid_run(runs, process, condition):
    """Freeze a process that executes runs while a session of it is in this condition: those. Else it is let go on."""
    process.freeze()
    held = await runs.held_by(process)
    if held and await runs.connections(process, condition):
        return held
    process.resume()
    return None


async def test_a_run_whose_acceptance_was_on_its_way_when_its_runtime_froze_is_started_once(runs):
    """Who takes the frozen one for dead ends its sessions: who asked is told that, and asks another under the same key."""
    await runs.settled()
    blocker = await asyncpg.connect(runs.mesh.stage.database.admin_url)
    async with blocker.transaction():
        await blocker.execute("lock table runtime.outbox in share row exclusive mode")
        numbers = [runs.number() for _ in range(5)]
        starts = [asyncio.create_task(runs.start(n, timeout_s=20.0)) for n in numbers]
        waiting = await eventually(lambda: all_wait(runs, len(starts)))
        frozen = max(runs.runtimes.values(), key=waiting.__getitem__)
        frozen.freeze()
        await eventually(lambda: runs.forgotten(frozen))
    await blocker.close()
    frozen.resume()
    started = await asyncio.gather(
        *(once_more(runs, n, start) for n, start in zip(numbers, starts, strict=True))
    )

    await runs.settled()
    assert await runs.wrong_of({run.id: str(n) for n, run in zip(numbers, started, strict=True)}) == {}


async def once_more(runs, number, start):
    try:
        return await start
    except Refused as refusal:
        if not isinstance(refusal.problem, Unavailable | DeadlineExceeded):
            raise
        return await runs.ask(request(number), key=key(number))


async def all_wait(runs, count):
    """How many connections of each process wait for a lock, when it is so many in all."""
    found = {p: await runs.connections(p, "wait_event_type = 'Lock'") for p in runs.runtimes.values()}
    return found if sum(found.values()) == count else None


async def test_a_run_of_very_many_steps_is_taken_over_in_bounded_time_and_memory(runs, full, capsys):
    rounds, before = (10_000, 5_000) if full else (1_000, 100)
    long = LongRun(runs, rounds)
    await long.start()
    await long.has_outcomes(before)
    holder, taker = await long.holder()
    bytes_before, cpu_before = bytes_of(taker), cpu_s(taker)

    holder.kill()
    killed, known = time.monotonic(), await long.outcomes()
    await long.has_outcomes(min(known + 1, rounds), within_s=TAKEN_OVER_S)
    took_s, replayed_cpu_s = time.monotonic() - killed, cpu_s(taker) - cpu_before
    holder.start()
    output = await long.output()
    grown = bytes_of(taker) - bytes_before
    await holder.ready()

    assert output == {"y": GIVEN}
    assert await long.outcomes() == rounds
    assert grown < GROWTH_BYTES
    with capsys.disabled():
        print(
            f"\n{rounds} steps, {known} replayed: on after {took_s:.1f} s, {replayed_cpu_s:.2f} s of CPU, {grown >> 20} MB"
        )


async def test_a_cancel_that_races_with_the_end_leaves_a_run_one_end(runs, dice, full):
    for _ in range(20 if full else 1):
        race = Race(runs)
        async with asyncio.TaskGroup() as group:
            racing = group.create_task(race.run(40))
            await eventually(lambda race=race: len(race.cancelled) >= 5, within_s=10)
            await one_runtime(runs, dice)
            await racing
        await runs.settled()

        assert race.cancelled
        assert race.ended
        assert await race.wrong() == {}
        print(f"{len(race.cancelled)} cancelled, {len(race.ended)} had ended")


class Race:
    """Runs that are cancelled each a little later than the one before: the first at its start, the last after its end.

    cancelled: by run, what was recorded and what was done of it when its cancel was acknowledged. ended: the runs whose
    cancel came too late, with their numbers.
    """

    def __init__(self, runs):
        self._runs = runs
        self.cancelled = {}
        self.ended = {}

    async def run(self, count):
        numbers = [self._runs.number() for _ in range(count)]
        started = await asyncio.gather(*(self._runs.ask(request(n), key=key(n)) for n in numbers))
        waiting = [
            (run, n, place / count) for place, (run, n) in enumerate(zip(started, numbers, strict=True))
        ]
        async with asyncio.TaskGroup() as group:
            while waiting:
                due = [w for w in waiting if len(self._runs.acts(w[0].id)) >= w[2] * ACTS]
                for run, number, _ in due:
                    group.create_task(self._cancel(run, number))
                waiting = [w for w in waiting if w not in due]
                await asyncio.sleep(_LOOK_S)

        number = self._runs.number()
        run = await self._runs.ask(request(number), key=key(number))
        await self._runs.ended(run)
        await self._cancel(run, number)

    async def _cancel(self, run, number):
        try:
            await self._runs.ask(runtime.CancelRun(run_id=run.id), key=f"cancel {number}")
        except Refused as refusal:
            if refusal.problem != runtime.RunEnded(state="succeeded"):
                raise
            self.ended[run.id] = str(number)
        else:
            self.cancelled[run.id] = await self._runs.recorded([run.id]), len(self._runs.acts(run.id))

    async def wrong(self):
        """A cancelled run stays as it was: nothing is recorded any more, and what was being done is the last that is."""
        found = await self._runs.wrong_of(self.ended)
        told = await self._runs.told()
        for run_id, (recorded, acted) in self.cancelled.items():
            timeline = await self._runs.ask(runtime.GetTimeline(run_id=run_id))
            faults = await self._runs.unordered(run_id)
            if timeline.run.state != "cancelled" or {s.state for s in timeline.steps} & {
                "running",
                "retrying",
                "pending",
            }:
                faults.append(f"timeline: {timeline}")
            if told[run_id] != ["run_started", "run_cancelled"]:
                faults.append(f"told: {told[run_id]}")
            if await self._runs.recorded([run_id]) != recorded:
                faults.append("recorded after its cancel")
            if len(self._runs.acts(run_id)) > acted + ACTS_AT_ONCE:
                faults.append("acted after its cancel")
            if faults:
                found[str(run_id)] = faults
        return found
