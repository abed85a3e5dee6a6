"""Whoever is refused for lack of a right is told of, whatever is under way in that moment."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import uuid4

from polis.proto.problems import Forbidden
from polis.service import denials
from polis.service.denials import Denials
from polis.service.tasks import Tasks
from polis.testing import eventually


async def test_what_is_refused_while_others_are_told_of_is_told_too(monkeypatch):
    monkeypatch.setattr(denials, "_EVERY_S", 0.01)
    first, second = (SimpleNamespace(org_id=uuid4(), principal_id=uuid4(), kind="user") for _ in range(2))
    told = []

    async def call(request, **_):
        told.extend(denial.principal_id for denial in request.denials)
        if len(told) == 1:
            noted.note(second, "identity.list_members", Forbidden(scope="identity:read"))

    async def own_token():
        return "t"

    async with Tasks() as tasks:
        noted = Denials(SimpleNamespace(call=call), SimpleNamespace(own_token=own_token), tasks)
        noted.note(first, "identity.list_members", Forbidden(scope="identity:read"))

        await eventually(lambda: len(told) == 2)

    assert told == [first.principal_id, second.principal_id]
