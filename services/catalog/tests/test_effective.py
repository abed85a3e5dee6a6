"""What the runtime is told of active versions: one with its content and its activator, and all that name triggers."""

from __future__ import annotations

from uuid import uuid4

import pytest

from polis.proto import catalog
from polis.proto.identity import SignInClient
from polis.testing import Person

PLAIN = {
    "nodes": {"n": {"component": "passthrough"}},
    "inputs": {"x": {"target": "n.in", "default": 1}},
    "description": 'holds the word "triggers":',
}
TRIGGERED = PLAIN | {"triggers": {"hand": {"on": {"kind": "manual"}}}}


@pytest.fixture
async def runtime(stage, actors):
    caller = await stage.caller("runtime")
    signed_in = await caller.call(SignInClient("runtime", "secret"))
    return Person(caller, signed_in.access_token, principal_id=uuid4(), org_id=uuid4())


async def test_active_graphs_that_name_triggers_are_listed_and_read_across_orgs(actors, caller, runtime):
    found, plain = [], None
    for key, content in (("a", TRIGGERED), ("b", TRIGGERED), ("c", PLAIN), ("d", TRIGGERED)):
        person = actors.person("member")
        person.caller = caller
        made = await person.call(catalog.CreateResource(type="graph", key=key, content=content))
        await person.call(catalog.PublishVersion(made.id))
        await person.call(catalog.Activate(made.id, "production", 1))
        if content is TRIGGERED:
            found.append((person, made))
        else:
            plain = made
    (ada, first), (_, second), (cem, deprecated) = found
    await cem.call(catalog.Deprecate(deprecated.id))

    listed, page = [], await runtime.call(catalog.ListEffective(limit=1))
    while page.next_cursor:
        listed += page.items
        page = await runtime.call(catalog.ListEffective(after=page.next_cursor, limit=1))
    listed += page.items
    effective = await runtime.call(catalog.GetEffective(ada.org_id, first.id, "production"))

    ids = {item.resource_id for item in listed}
    assert {first.id, second.id} <= ids
    assert not {plain.id, deprecated.id} & ids
    assert (effective.activated_by, effective.number, effective.key) == (ada.principal_id, 1, "a")
    assert effective.content["triggers"] == TRIGGERED["triggers"]
    assert (
        await runtime.call(catalog.GetEffective(cem.org_id, deprecated.id, "production"))
    ).status == "deprecated"
