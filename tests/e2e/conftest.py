"""The mesh of the end-to-end tests: every service in this process, called through the gateway's port alone."""

from __future__ import annotations

import pytest

from polis.cli.api import Api
from polis.proto.registry import SERVICES
from tests.e2e.chromium import browsing


@pytest.fixture(scope="module")
async def mesh(stage):
    for service in SERVICES:
        await stage.start(service.name)
    return stage


@pytest.fixture(scope="module")
def address(mesh):
    return f"http://127.0.0.1:{mesh.running['gateway'].port}"


@pytest.fixture
async def api(address):
    async with Api(address) as api:
        yield api


@pytest.fixture
async def ada(api):
    """A user with an org of her own."""
    await api.sign_up()
    return api


@pytest.fixture(scope="module")
async def browser():
    async with browsing() as browser:
        yield browser
