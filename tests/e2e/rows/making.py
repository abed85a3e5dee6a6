"""Ways to make a row: a function of the world that gives the path and the body of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.world import World


def fixed(path: str, body: object = None):
    async def row(_: World):
        return path, body() if callable(body) else body

    return row


def with_account(path: str, *fields: str):
    async def row(world: World):
        account = await world.account()
        return path, {field: account[field] for field in fields}

    return row


def on_resource(path: str, body: object = None, *, published: bool = True):
    async def row(world: World):
        resource = await world.resource(published=published)
        return path.format(resource["id"]), body

    return row


def on_artifact(path: str):
    async def row(world: World):
        return path.format((await world.artifact())["id"]), None

    return row


def on_run(path: str, body: object = None):
    async def row(world: World):
        return path.format((await world.run())["id"]), body

    return row
