"""Every recorded run comes to what it came to, by its whole journal and by any part of it; a new one can be recorded."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest

from polis.db import Database
from polis.proto import runtime
from polis.proto.graph import Graph
from polis.runtime.engine import item as items
from polis.runtime.recorded import Recording, record, replay
from polis.testing import eventually

FOLDER = Path(__file__).with_name("recorded")
FILES = sorted(FOLDER.glob("*.json"))
DESCRIBED = {path.stem: msgspec.json.decode(path.read_bytes()) for path in FOLDER.glob("*.graph")}
"""What was recorded, as its author writes it: `NAME.graph` has `graph` and `input`, and became `NAME.json`."""


def read(path: Path) -> Recording:
    return msgspec.json.decode(path.read_bytes(), type=Recording)


def assert_same(recording: Recording, without=()) -> None:
    found = replay(recording, without=without)

    assert (found.state, found.error) == (recording.state, recording.error)
    assert found.output == recording.output
    assert sorted(found.steps) == sorted(recording.steps)
    assert set(without) <= set(found.done)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recorded_run_comes_to_the_same_by_its_journal(path):
    recording = read(path)

    assert_same(recording)
    assert replay(recording).done == () or recording.state != "succeeded"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recorded_run_comes_to_the_same_by_any_part_of_its_journal(path):
    recording = read(path)
    places = [(o.node, items.parse(o.item)) for o in recording.journal if "@" not in o.node]
    random = Random(path.stem)

    for _ in range(10):
        assert_same(recording, random.sample(places, random.randint(0, len(places))))


def test_there_are_recorded_runs_of_each_kind():
    assert {path.stem for path in FILES} >= {
        "effects",
        "failed",
        "latest",
        "nested",
        "rounds",
        "undone",
        "waits",
    }


async def recorded(ada, played, stage, name: str) -> Recording:
    """Run what a file describes, and record it."""
    described = DESCRIBED[name]
    played.graphs[name] = msgspec.convert(described["graph"], Graph)
    run = await ada.call(runtime.StartRun(graph=name, input=described["input"]))

    async def over():
        return (await ada.call(runtime.GetRun(run_id=run.id))).state in runtime.TERMINAL

    await eventually(over, within_s=10)
    settings = stage.settings("runtime")
    database = await Database.open(str(settings.postgres_url), service="runtime", size=1)
    try:
        return await record(database, ada.org_id, run.id)
    finally:
        await database.close()


@pytest.mark.parametrize("name", ["nested", "undone"])
async def test_a_run_can_be_recorded(ada, played, stage, name):
    recording = await recorded(ada, played, stage, name)

    assert recording.state == read(FOLDER / f"{name}.json").state
    assert_same(msgspec.json.decode(msgspec.json.encode(recording), type=Recording))
