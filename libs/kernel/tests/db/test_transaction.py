"""Transactions: all or nothing, in their orgs alone, with what is to happen after them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

import pytest
from msgspec import Struct


class Note(Struct, frozen=True):
    id: UUID
    title: str
    stars: int


class About(Struct, frozen=True):
    colour: str
    pages: int = 0


class FullNote(Struct, frozen=True):
    id: UUID
    labels: tuple[str, ...]
    about: About
    created_at: datetime


INSERT = "insert into notebook.notes (org_id, id, title) values ($1, $2, $3)"
NOTES = "select n.id, n.title, n.stars from notebook.notes n where n.org_id = $1 order by n.title"


async def write(tx, org, *titles):
    for title in titles:
        await tx.execute(INSERT, org, uuid4(), title)


async def test_what_a_transaction_wrote_is_there_after_it(database, org):
    async with database.transaction([org]) as tx:
        await write(tx, org, "b", "a")
        assert [n.title for n in await tx.rows(Note, NOTES, org)] == ["a", "b"]

    notes = await database.tenant(org).rows(Note, NOTES, org)

    assert [n.title for n in notes] == ["a", "b"]


async def test_an_error_in_the_block_undoes_it(database, org):
    with pytest.raises(LookupError):
        async with database.transaction([org]) as tx:
            await write(tx, org, "a")
            raise LookupError

    assert await database.tenant(org).rows(Note, NOTES, org) == []
    assert database.connections.in_use == 0
