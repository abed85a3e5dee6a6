"""Every operation of the contract is found at its path, and nothing else is."""

from __future__ import annotations

import pytest

from polis.gateway.routes import PREFIX, Routes
from polis.proto import Refused
from polis.proto.contract import operations
from polis.proto.problems import MethodNotAllowed, NotFound
from polis.proto.registry import load

load()
ROUTED = [operation for operation in operations() if operation.path]


@pytest.fixture(scope="module")
def routes() -> Routes:
    return Routes(operations())


@pytest.mark.parametrize("operation", ROUTED, ids=lambda operation: operation.name)
def test_an_operation_is_found_at_its_path_with_its_parameters(routes, operation):
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    path = PREFIX + operation.path
    for name in names:
        path = path.replace("{" + name + "}", f"value%20of%2F{name}")

    found, values = routes.match(operation.verb, path)

    assert found is operation
    assert values == {name: f"value of/{name}" for name in names}


@pytest.mark.parametrize(
    "path", ["", "/", "/nothing", "/runs/", "/runs//cancel", "/resources/1/versions/2/3"]
)
def test_an_unknown_path_is_not_found(routes, path):
    with pytest.raises(Refused) as refusal:
        routes.match("GET", PREFIX + path)

    assert refusal.value.problem == NotFound()


def test_another_method_is_refused_with_the_methods_that_exist(routes):
    with pytest.raises(Refused) as refusal:
        routes.match("PATCH", PREFIX + "/runs")

    assert refusal.value.problem == MethodNotAllowed(allowed=("GET", "HEAD", "POST"))
