"""Fixtures and markers. A test's place gives its marker: services/*/tests are `service`, tests/chaos are `chaos`, ..."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from structlog.testing import capture_logs

from polis.db.session import session
from polis.testing.servers import postgres_server
from polis.testing.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from polis.testing.servers import PostgresServer

_PLACES = {
    "services": "service",
    "libs": "unit",
    "clients": "unit",
    "proto": "unit",
    "contract": "contract",
    "e2e": "e2e",
    "chaos": "chaos",
    "bench": "bench",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos", choices=("small", "full"), default="small", help="how much load the fault tests make"
    )
    parser.addoption(
        "--replicas", type=int, default=1, help="processes of each service, as they are deployed"
    )


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes is no property; what is searched for is found by the long runs, not by chance.
    settings.register_profile(
        "any machine",
        deadline=None,
        suppress_health_check=(HealthCheck.too_slow,),
        derandomize=config.getoption("--chaos") != "full",
    )
    settings.load_profile("any machine")
    for marker in sorted(set(_PLACES.values())):
        config.addinivalue_line("markers", f"{marker}: given by the place of the test")


_LONG_FIRST = ("chaos", "e2e", "local", "testing", "services")
"""Where files take long: they begin first, so that no worker is left with one of them when the others are through."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _rank(Path(item.path).relative_to(config.rootpath).parts))
    for item in items:
        parts = Path(item.path).relative_to(config.rootpath).parts
        key = parts[1] if parts[0] == "tests" and len(parts) > 2 else parts[0]
        if key in _PLACES:
            item.add_marker(_PLACES[key])


def _rank(parts: tuple[str, ...]) -> int:
    return min((n for n, place in enumerate(_LONG_FIRST) if place in parts[:2]), default=len(_LONG_FIRST))


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[PostgresServer]:
    """The session's PostgreSQL."""
    async with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
async def stage(postgres: PostgresServer, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A database and a broker for the tests of one module."""
    async with Stage(postgres, replicas=request.config.getoption("--replicas")) as stage:
        yield stage


@pytest.fixture
async def first_day(postgres: PostgresServer) -> AsyncIterator[Any]:
    """Tables as they are at first, for plans: those of the stage hold what tests have left, and may have been analysed."""
    async with postgres.database() as database, session(database.admin_url, "first-day") as admin:
        await admin.execute("set plan_cache_mode = force_generic_plan; set enable_seqscan = off")
        yield admin


@pytest.fixture
def told() -> Iterator[list[Any]]:
    """What is logged, whatever level was chosen before in this process."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as told:
        yield told
    structlog.configure(**before)


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the long form of a fault test was asked for."""
    return bool(request.config.getoption("--chaos") == "full")
