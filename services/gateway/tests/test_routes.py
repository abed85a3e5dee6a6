"""Every operation of the contract is found at its path, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polis.gateway.facades import OPEN, STREAM, facades
from polis.gateway.health import SYSTEM
from polis.gateway.routes import PREFIX, Routes
from polis.gateway.wishes import kinds_of
from polis.proto import Refused
from polis.proto.contract import operations
from polis.proto.live import TOPICS
from polis.proto.problems import MethodNotAllowed, NotFound
from polis.proto.registry import SERVICES, load

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


def test_what_is_written_for_older_clients_is_there():
    text = (Path(__file__).parents[3] / "docs/older-clients.md").read_text()
    names = set(re.findall("`(?:[A-Z]+ )?([^`?]+)", text))
    paths = {name for name in names if name.startswith("/api/") and not name.startswith(PREFIX)}
    facts = {name for name in names if name.startswith(tuple(f"{service.name}." for service in SERVICES))}
    topics = {name for name in names if "/<" in name}
    requests = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", text)) - {"WebSocket"}

    assert paths
    assert paths <= {path for _, path, _, _ in facades()} | OPEN | {STREAM, SYSTEM}
    assert facts
    assert facts <= {kind for topic in TOPICS if topic.kind == "org" for kind in kinds_of(topic)}
    assert topics
    assert topics <= {topic.name for topic in TOPICS}
    assert requests
    assert requests <= {operation.request.__name__ for operation in ROUTED}
