"""The header block of a call: who calls is remembered as text, when and why is said anew."""

from __future__ import annotations

import pytest

from polis.bus.message import parse_headers
from polis.service import call
from polis.telemetry import trace


def said(*, token="ada", org="", here=None, more=None):
    headers = call.headers_of(token=token, org=org, timeout_s=5, here=here or trace.start(), more=more)
    return parse_headers(headers)


def test_each_call_of_somebody_has_its_own_trace_and_says_who_they_are():
    first, second = trace.start(), trace.start()

    told = [said(here=here, org="1") for here in (first, second)]

    assert [headers[call.TRACE] for headers in told] == [first.header, second.header]
    assert [(headers[call.ACTOR], headers[call.ORG]) for headers in told] == [("ada", "1")] * 2


def test_the_same_token_in_another_org_and_another_token_are_told_apart():
    told = [said(org="1"), said(org="2"), said(token="bob", org="1"), said(), said(token="")]

    assert [(headers.get(call.ACTOR), headers.get(call.ORG)) for headers in told] == [
        ("ada", "1"),
        ("ada", "2"),
        ("bob", "1"),
        ("ada", None),
        (None, None),
    ]


def test_what_is_said_of_one_call_is_not_said_of_the_next():
    assert said(more={call.IDEMPOTENCY_KEY: "k"})[call.IDEMPOTENCY_KEY] == "k"
    assert call.IDEMPOTENCY_KEY not in said()


@pytest.mark.parametrize(
    "given", [{"token": "a\r\nPolis-Org: b"}, {"org": "a\nb"}, {"more": {call.IDEMPOTENCY_KEY: "a\r\nb"}}]
)
def test_nothing_forges_a_header(given):
    with pytest.raises(ValueError, match="line break"):
        said(**given)
