"""The edge of the calendar: moments that have no date in UTC are refused by every operation that takes one, none fails."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import inspect

from polis.proto import Refused
from polis.proto.contract import operations
from polis.proto.problems import Internal, Invalid
from polis.proto.registry import load
from polis.service import call
from polis.specs.examples import example
from polis.telemetry import trace

load()
BEYOND = ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00")
WITHIN = ("9999-12-30T23:59:59Z", "0001-01-02T00:00:00Z")


def moments(info, path=(), within=frozenset()):
    """The paths in a message's JSON at which a moment stands."""
    match info:
        case inspect.DateTimeType():
            yield path
        case inspect.Metadata():
            yield from moments(info.type, path, within)
        case inspect.UnionType():
            for member in info.types:
                yield from moments(member, path, within)
        case inspect.ListType() | inspect.VarTupleType():
            yield from moments(info.item_type, (*path, 0), within)
        case inspect.StructType() if info.cls not in within:
            for field in info.fields:
                yield from moments(field.type, (*path, field.encode_name), within | {info.cls})


TAKING = [
    (operation, path) for operation in operations() for path in moments(inspect.type_info(operation.request))
]


def message(operation, path, moment):
    """The example of a request, with this moment at that path."""
    whole = place = example(operation.request)
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = moment
    return msgspec.json.encode(whole)


@pytest.fixture
async def problem(mesh, ada):
    """What a request is refused with on the bus; None when it is not."""
    caller = await mesh.caller()
    headers = call.headers_of(token=ada.token, org="", timeout_s=5, here=trace.start())

    async def problem(operation, payload):
        try:
            call.decode_answer(operation, await caller.send(operation, payload, headers, timeout_s=5))
        except Refused as refusal:
            return refusal.problem
        return None

    return problem


def test_some_operations_take_moments():
    assert {operation.service for operation, _ in TAKING} >= {"catalog", "identity"}


@pytest.mark.parametrize(
    ("operation", "path"), TAKING, ids=lambda part: getattr(part, "name", None) or "/".join(map(str, part))
)
async def test_a_moment_without_a_date_in_utc_is_refused_by_name_and_the_last_ones_fail_nowhere(
    problem, operation, path
):
    for moment in BEYOND:
        refused = await problem(operation, message(operation, path, moment))
        assert isinstance(refused, Invalid), (moment, refused)
        assert [fault.pointer for fault in refused.faults] == ["/" + "/".join(map(str, path))]
    for moment in WITHIN:
        assert not isinstance(await problem(operation, message(operation, path, moment)), Internal)
