"""Servers that may be killed, and meshes on them. The seed of a run is pytest's: `--randomly-seed` repeats it."""

from __future__ import annotations

from random import Random

import pytest

from polis.bus import admin as broker_admin
from polis.testing import Stage
from polis.testing.places import quick_folder
from polis.testing.servers import postgres_server
from tests.chaos.flow import Flow
from tests.chaos.mesh import Mesh

REDELIVERY_S = 1.0
"""In place of half a minute: what a killed consumer had in hand comes again soon."""


@pytest.fixture(scope="session")
async def postgres():
    """A PostgreSQL of these tests alone: they end it as a crash would."""
    with quick_folder("polis-pg-") as folder:
        async with postgres_server(folder) as server:
            yield server


@pytest.fixture(scope="module")
def quick_redelivery():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broker_admin, "ACK_WAIT_S", REDELIVERY_S)
        yield


@pytest.fixture
def dice(request):
    """The random choices of a test, which its seed repeats."""
    seed = request.config.getoption("randomly_seed", 1)
    print(f"repeat with: pytest {request.node.nodeid} --randomly-seed={seed}")
    return Random(seed)


@pytest.fixture(scope="module")
async def own_stage(postgres, quick_redelivery):
    async with Stage(postgres) as stage:
        if stage.nats.embedded is None:
            pytest.skip("POLIS_TEST_NATS_URL names a server that is not ours to kill")
        yield stage


@pytest.fixture(scope="module")
async def mesh(own_stage, postgres, tmp_path_factory):
    """Identity as a process of its own, called over the bus."""
    async with Mesh(own_stage, postgres, tmp_path_factory.mktemp("mesh")) as mesh:
        await mesh.start("identity")
        await mesh.sign_up()
        yield mesh


@pytest.fixture
async def flow(postgres, quick_redelivery, tmp_path):
    """Writers, a relay and a consumer, on a database and a broker that nobody else uses."""
    async with Stage(postgres) as stage:
        if stage.nats.embedded is None:
            pytest.skip("POLIS_TEST_NATS_URL names a server that is not ours to kill")
        async with Flow(stage, postgres, tmp_path) as flow:
            yield flow
