"""G7. Whichever process dies: each slot of a schedule, each event and each message starts one run, and none is lost."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import msgspec
import pytest

from polis.proto import catalog, messaging, runtime
from polis.proto.graph import Graph, GraphInput, GraphOutput, Node
from polis.proto.trigger import OnEvent, Schedule, TriggerSpec
from polis.testing import eventually
from tests.chaos.mesh import Mesh

LEASE_S = 1.0
STREAM_LEASE_S = 120.0
"""Longer than processes take to start again: an answer that is broken off then is another test's."""
EVERY = timedelta(seconds=1)
PRODUCTION = "production"


@pytest.fixture(scope="module")
async def runtimes(mesh: Mesh):
    await mesh.start("catalog")
    return [
        await mesh.start("runtime", name=name, instance=name, lease_s=LEASE_S) for name in ("first", "second")
    ]


async def activated(mesh: Mesh, key: str, **triggers: TriggerSpec):
    """The triggers of a new graph, by their names."""
    graph = Graph(
        nodes={"n": Node("passthrough")},
        inputs={"x": GraphInput("n.in")},
        outputs={"y": GraphOutput("n.out")},
        triggers=triggers,
    )
    made = await mesh.call(catalog.CreateResource(type="graph", key=key, content=msgspec.to_builtins(graph)))
    await mesh.call(catalog.PublishVersion(made.id))
    await mesh.call(catalog.Activate(made.id, PRODUCTION, 1))

    async def effective():
        page = await mesh.call(runtime.ListTriggers(graph=key))
        return page.items if len(page.items) == len(triggers) else None

    return made.id, {trigger.name: trigger.id for trigger in await eventually(effective, within_s=20)}


async def occurrences(mesh: Mesh, trigger_id) -> list[str]:
    rows = await mesh.rows(
        "select occurrence from runtime.runs where trigger_id = $1 order by occurrence", trigger_id
    )
    return [row["occurrence"] for row in rows]


async def test_every_slot_and_every_event_starts_one_run_although_processes_are_killed(
    mesh, runtimes, dice, full
):
    schedules = {
        f"tick{n}": TriggerSpec(Schedule(every_s=1, missed="all"), into="x") for n in range(19 if full else 4)
    }
    told = {"told": TriggerSpec(OnEvent("runtime.event_told"), into="x")}
    resource, triggers = await activated(mesh, "ticks", **schedules, **told)
    await eventually(lambda: _heard(mesh, triggers["told"]), within_s=20)

    events = []
    for _ in range(8 if full else 1):
        events += [await mesh.call(runtime.TellEvent("step", {"n": n})) for n in range(5)]
        victims = dice.choice([runtimes[:1], runtimes[1:], runtimes])
        await asyncio.sleep(dice.uniform(0.2, 1.2))
        for process in victims:
            process.kill()
        for process in victims:
            process.start()
        for process in victims:
            await process.ready()
    await eventually(lambda: _all_told(mesh, triggers["told"], events), within_s=60)
    for name in schedules:
        await eventually(lambda name=name: _twice(mesh, triggers[name]), within_s=20)
    await mesh.call(catalog.Deactivate(resource, PRODUCTION))
    await eventually(lambda: _ended(mesh, triggers), within_s=60)

    for name in schedules:
        slots = [datetime.fromisoformat(text) for text in await occurrences(mesh, triggers[name])]
        assert slots == [slots[0] + n * EVERY for n in range(len(slots))], name
        assert len(slots) > 1
    assert len(await occurrences(mesh, triggers["told"])) == len(
        set(await occurrences(mesh, triggers["told"]))
    )
    print(f"{len(schedules)} schedules, {len(slots)} slots of the last, {len(events)} events")


async def test_every_message_to_an_agent_is_answered_once_although_processes_are_killed(
    mesh, runtimes, dice, full
):
    messenger = await mesh.start("messaging", posts_per_second=1_000, stream_lease_s=STREAM_LEASE_S)
    echo = await mesh.call(runtime.InstallAssistant("echo"), timeout_s=20)
    room = await mesh.call(messaging.OpenDirect(echo.agent_id))

    said = []
    for _ in range(12 if full else 1):
        for _ in range(4):
            said.append(f"words of message {len(said)}, one after the other")
            await mesh.call(messaging.PostMessage(room.id, said[-1], client_id=f"{len(said)}"))
        await asyncio.sleep(dice.uniform(0.1, 0.6))
        for process in dice.choice([runtimes, [*runtimes, messenger], [messenger], runtimes[:1]]):
            process.kill()
            process.start()
        for process in [*runtimes, messenger]:
            await process.ready()
    await eventually(lambda: _answered(mesh, room.id, echo.agent_id, len(said)), within_s=60)

    assert sorted(await _answers(mesh, room.id, echo.agent_id)) == sorted(said)
    runs = await mesh.rows("select occurrence from runtime.runs where actor_id = $1", echo.agent_id)
    assert len({run["occurrence"] for run in runs}) == len(runs) == len(said)


async def _answered(mesh: Mesh, room_id, agent_id, wanted: int) -> bool:
    return len(await _answers(mesh, room_id, agent_id)) >= wanted


async def _answers(mesh: Mesh, room_id, agent_id) -> list[str]:
    rows = await mesh.rows(
        "select text from messaging.messages where conversation_id = $1 and sender_id = $2", room_id, agent_id
    )
    return [row["text"] for row in rows]


async def _heard(mesh: Mesh, trigger_id) -> bool:
    """Whether told events reach the runtime by now."""
    await mesh.call(runtime.TellEvent("probe"))
    return bool(await occurrences(mesh, trigger_id))


async def _all_told(mesh: Mesh, trigger_id, events) -> bool:
    inputs = await mesh.rows("select input from runtime.runs where trigger_id = $1", trigger_id)
    seen = [msgspec.json.decode(row["input"])["x"]["entity"] for row in inputs]
    return all(seen.count(str(event.id)) == 1 for event in events)


async def _ended(mesh: Mesh, triggers) -> bool:
    found = [await mesh.call(runtime.GetTrigger(trigger_id)) for trigger_id in triggers.values()]
    return all(trigger.ended_at for trigger in found)


async def _twice(mesh: Mesh, trigger_id) -> bool:
    return len(await occurrences(mesh, trigger_id)) > 1
