"""The line that every request leaves."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from polis.telemetry import trace
from polis.telemetry.logs import RequestLog

ADA = UUID(int=1)


def add(log, seconds=0.0123456, **told):
    return log.add(log.line("GetResource", status=200, seconds=seconds, here=trace.start(), **told))


def test_lines_of_a_turn_are_written_together_and_each_tells_of_its_own_request():
    out = io.BytesIO()
    log = RequestLog("gateway", out)

    firsts = [add(log, principal_id=ADA, request_id='"mine"'), add(log, seconds=2.5)]
    before = out.getvalue()
    log.flush()

    one, other = [msgspec.json.decode(line) for line in out.getvalue().splitlines()]
    assert (firsts, before) == ([True, False], b"")
    assert (one["ms"], other["ms"]) == (12.345, 2500.0)
    assert (one["principal_id"], other["principal_id"]) == (str(ADA), "")
    assert one["request_id"] == '"mine"'
    assert other["request_id"] == other["trace_id"] != one["trace_id"]


def test_lines_tell_when_their_turn_was():
    out = io.BytesIO()
    log = RequestLog("gateway", out)
    times = [datetime.now(UTC)]

    for _ in range(2):
        add(log)
        log.flush()
        times.append(datetime.now(UTC))

    told = [msgspec.json.decode(line, type=dict)["timestamp"] for line in out.getvalue().splitlines()]
    first, second = [datetime.fromisoformat(moment) for moment in told]
    assert times[0] <= first <= times[1] <= second <= times[2]


def test_nothing_is_written_of_nothing():
    out = io.BytesIO()

    RequestLog("gateway", out).flush()

    assert out.getvalue() == b""
