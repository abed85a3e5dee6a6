"""What ships with the mesh: in the catalog at every start, once, readable by all and writable by nobody."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from polis.catalog.access import SYSTEM_ORG
from polis.catalog.bootstrap import Shipped, bootstrap, shipped
from polis.catalog.resources.content import canonical
from polis.graph import builtin
from polis.proto.catalog import CreateResource, ForeignResource, ListVersions, PutDraft, ResolveResource


def rules(key, **content):
    return Shipped("ruleset", key, key, canonical(content))


async def versions(client, key):
    active = await client.call(ResolveResource(type="ruleset", key=key))
    listed = await client.call(ListVersions(active.resource_id))
    return active.number, [v.number for v in listed.items]


async def test_every_component_and_graph_that_ships_is_active_and_public(ada):
    shipped_keys = {
        "component": builtin.components(),
        "graph": builtin.graphs(),
        "assistant": builtin.assistants(),
    }
    for kind, keys in shipped_keys.items():
        for key in keys:
            version = await ada.call(ResolveResource(type=kind, key=key))
            assert version.key == key


async def test_what_ships_passes_the_checks_that_an_org_passes(ada):
    for item in shipped():
        await ada.call(CreateResource(type=item.type, key=item.key, content=item.content.content))


async def test_what_ships_is_writable_by_nobody(ada, refused):
    version = await ada.call(ResolveResource(type="component", key="passthrough"))

    for client in (ada, ada.member("owner")):
        problem = await refused(
            client.call(PutDraft(version.resource_id, revision=1, content=version.content))
        )
        assert problem == ForeignResource(resource=str(version.resource_id))


async def test_a_second_start_writes_nothing(database, facts):
    told = await facts(SYSTEM_ORG)

    assert await bootstrap(database, shipped()) == 0
    assert await facts(SYSTEM_ORG) == told


async def test_a_changed_file_is_a_new_version_and_one_that_came_back_is_the_old_one(ada, database):
    key = f"shipped-{uuid4().hex}"

    assert await bootstrap(database, [rules(key, limit=1)]) == 1
    assert await versions(ada, key) == (1, [1])
    assert await bootstrap(database, [rules(key, limit=2)]) == 1
    assert await versions(ada, key) == (2, [2, 1])
    assert await bootstrap(database, [rules(key, limit=1)]) == 1
    assert await versions(ada, key) == (1, [2, 1])


async def test_replicas_that_start_at_once_write_each_version_once(ada, database):
    keys = [f"shipped-{uuid4().hex}" for _ in range(5)]
    wanted = [rules(key, limit=1) for key in keys]

    changed = await asyncio.gather(*(bootstrap(database, wanted) for _ in range(4)))

    assert sorted(changed) == [0, 0, 0, 5]
    assert [await versions(ada, key) for key in keys] == [(1, [1])] * 5
