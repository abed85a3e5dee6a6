"""Changes in short, and what they come to."""

from __future__ import annotations

from polis.proto.catalog import Change, ExportResources, ListResources, ResolveResource


def put(key, content=None, kind="policy", **more):
    return Change("put", kind, key, content=content or {"of": key}, **more)


def activate(key, environment="production", kind="policy", **more):
    return Change("activate", kind, key, environment=environment, **more)


def deactivate(key, environment="production", kind="policy"):
    return Change("deactivate", kind, key, environment=environment)


async def export(client):
    return [change async for change in client.stream(ExportResources())]


async def own(client):
    return {
        r.key: r for r in (await client.call(ListResources(limit=200))).items if r.org_id == client.org_id
    }


async def active(client, key, environment="production"):
    return (await client.call(ResolveResource("policy", key, environment))).content
