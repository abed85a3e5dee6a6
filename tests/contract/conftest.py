"""Every declaration of the contract, imported before a test asks for one; the services that tests sweep over."""

from __future__ import annotations

import pytest

from polis.proto.registry import SERVICES, load

load()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "service" in metafunc.fixturenames:
        metafunc.parametrize("service", [entry.name for entry in SERVICES])
