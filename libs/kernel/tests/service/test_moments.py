"""Moments out of the calendar are found wherever they stand in a message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec import Struct, field, structs

from polis.proto import Refused, Time
from polis.proto.contract import EARLIEST, LATEST, operation_of
from polis.proto.identity import GetJwks
from polis.service import moments

WEST, EAST = timezone(timedelta(hours=-12)), timezone(timedelta(hours=14))
LAST, FIRST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=WEST), datetime(1, 1, 1, tzinfo=EAST)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Inner(Struct, frozen=True, rename={"at": "when"}):
    at: Time | None = None


class Outer(Struct, frozen=True):
    at: Time
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = field(default_factory=dict)


class Plain(Struct, frozen=True):
    name: str
    inner: Plain | None = None


def taking(request):
    return structs.replace(operation_of(GetJwks), request=request)


def test_each_one_that_is_out_of_the_calendar_is_named():
    request = Outer(LAST, (Inner(), Inner(FIRST), Inner(NOW)), {"a/b": Inner(LAST)})

    with pytest.raises(Refused) as refusal:
        moments.demand(taking(Outer), request)

    pointers = [fault.pointer for fault in refusal.value.problem.faults]
    assert pointers == ["/at", "/many/1/when", "/named/a~1b/when"]


@pytest.mark.parametrize("moment", [EARLIEST, LATEST, NOW])
def test_what_is_let_through_has_a_date_at_every_offset(moment):
    moments.demand(taking(Outer), Outer(moment, (Inner(moment),)))

    for hours in (-23, 23):
        moment.astimezone(timezone(timedelta(hours=hours)))


def test_messages_without_moments_are_not_searched():
    assert not moments.takes(taking(Plain))
    assert moments.takes(taking(Outer))
