"""Who may have a run act as whom, and what it may do then: no more than both who starts it and who it acts as."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from polis.graph import builtin
from polis.proto import runtime
from polis.proto.graph import Component, Port
from polis.proto.identity import Conditions, Grant, Holder
from polis.proto.problems import Forbidden
from polis.runtime import component
from polis.runtime.component import Implementation

STARTS = "runtime:run runtime:read catalog:read identity:read"


@pytest.fixture
def writes(played, graph_of):
    """A graph of a component that needs `catalog:write`."""

    async def give(step, inputs):
        step.emit("out", inputs["in"])

    described = Component(
        "test.writes", "", inputs={"in": Port()}, outputs={"out": Port()}, scopes=("catalog:write",)
    )
    played.components[described.key] = described
    component._implementations[described.key] = Implementation(described, task=give)
    played.graphs["writes"] = graph_of(described.key)
    yield runtime.StartRun(graph="writes", input={"x": 1})
    del component._implementations[described.key], played.components[described.key]


@pytest.fixture
def plain(played, graph_of):
    """A graph that needs no right."""
    assert "passthrough" in builtin.components()
    played.graphs["plain"] = graph_of("passthrough")
    return "plain"


@pytest.fixture
def member(actors, running, caller):
    """Somebody of an org, with these scopes of a member alone."""

    def member(org_id, scope):
        person = actors.person("member", org_id=org_id, scope=scope)
        person.caller = caller
        return person

    return member


@pytest.mark.parametrize("agent", [None, "sarah"])
async def test_nobody_starts_a_run_that_does_what_they_may_not_do_themselves(
    ada, actors, member, writes, refused, agent
):
    """With a narrowed token, too: neither the agent's rights nor the wider ones of its owner are lent."""
    actors.agent(ada.org_id, "sarah")
    narrowed = member(ada.org_id, STARTS + " identity:agents")
    request = runtime.StartRun(graph=writes.graph, input=writes.input, agent=agent)

    assert await refused(narrowed.call(request)) == Forbidden(scope="catalog:write")
    assert (await ada.call(runtime.ListRuns(graph="writes"))).items == ()
    assert (await ada.call(request)).state == "running"


async def test_who_manages_no_agents_starts_runs_as_one_of_their_own_or_by_a_grant_alone(
    ada, actors, member, plain, refused
):
    agent = actors.agent(ada.org_id, "mary")
    other = actors.agent(ada.org_id, "tom")
    colleague, stranger = member(ada.org_id, STARTS), member(ada.org_id, STARTS)
    as_mary = runtime.StartRun(graph=plain, input={"x": 1}, agent="mary")
    assert await refused(colleague.call(as_mary)) == Forbidden(scope="runtime:run")

    holder = Holder("principal", colleague.principal_id)
    actors.grants.append(_grant(ada.org_id, holder, "runtime:run", "agent/mary"))

    assert (await colleague.call(as_mary)).actor_id == agent.id
    as_tom = runtime.StartRun(graph=plain, input={"x": 1}, agent=str(other.id))
    assert await refused(colleague.call(as_tom)) == Forbidden(scope="runtime:run")
    assert await refused(stranger.call(as_mary)) == Forbidden(scope="runtime:run")
    assert (await ada.call(as_tom)).actor_id == other.id
    actors.agents[ada.org_id, "tom"] = actors.agents[ada.org_id, str(other.id)] = _made_by(other, stranger)
    assert (await stranger.call(as_tom)).actor_id == other.id


def _grant(org_id, holder, verb, resource):
    return Grant(uuid4(), org_id, holder, verb, resource, uuid4(), datetime.now(UTC), Conditions())


def _made_by(agent, person):
    return msgspec.structs.replace(agent, created_by=person.principal_id)
