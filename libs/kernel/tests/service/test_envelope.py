"""Events as CloudEvents; the cloudevents library is the oracle for the headers."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from polis.proto import identity
from polis.service.envelope import NotAnEvent, decode, encode, lines_of

ORG, SESSION, ID = UUID(int=1), UUID(int=2), UUID(int=3)
NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENDED = identity.SessionEnded(org_id=ORG, session_id=SESSION, until=NOW)


def test_an_event_travels_on_the_subject_of_its_org_and_entity():
    subject, _, _ = encode(ENDED, ID, NOW)

    assert subject == f"event.identity.session_ended.{ORG}.{SESSION}"


def test_an_event_comes_back_as_it_was():
    _, headers, payload = encode(ENDED, ID, NOW, TRACE)

    assert decode(headers, payload) == ENDED


def test_the_broker_the_inbox_and_cloudevents_tell_duplicates_by_one_id():
    _, headers, _ = encode(ENDED, ID, NOW)

    assert headers["Nats-Msg-Id"] == headers["ce-id"] == str(ID)


def test_the_trace_goes_along_when_there_is_one():
    assert encode(ENDED, ID, NOW, TRACE)[1]["traceparent"] == TRACE
    assert "traceparent" not in encode(ENDED, ID, NOW)[1]


@pytest.mark.parametrize("told", [{"entity": "a\r\nce-type: b"}, {"entity": "a", "trace": "b\nce-type: c"}])
def test_what_is_told_of_an_event_cannot_forge_a_header(told):
    with pytest.raises(ValueError, match="line break"):
        lines_of("identity", "session_ended", id=str(ID), time=NOW, **told)


def test_cloudevents_reads_the_headers_as_binary_mode():
    _, headers, payload = encode(ENDED, ID, NOW, TRACE)

    read = from_binary(HTTPMessage(headers=headers, body=payload), JSONFormat())

    assert read.get_id() == str(ID)
    assert read.get_source() == "/services/identity"
    assert read.get_type() == "polis.identity.session_ended"
    assert read.get_subject() == str(SESSION)
    assert read.get_time() == NOW
    assert read.get_datacontenttype() == "application/json"
    assert read.get_data()["session_id"] == str(SESSION)


def test_fields_that_this_version_does_not_know_are_ignored():
    _, headers, payload = encode(ENDED, ID, NOW)

    assert decode(headers, payload[:-1] + b',"added_later":1}') == ENDED


@pytest.mark.parametrize("headers", [{}, {"ce-type": "polis.identity.never_declared"}])
def test_a_message_of_an_unknown_type_is_not_an_event(headers):
    with pytest.raises(NotAnEvent):
        decode(headers, b"{}")


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"org_id":1}', b"\xff"])
def test_a_payload_that_does_not_fit_is_not_an_event(payload):
    _, headers, _ = encode(ENDED, ID, NOW)

    with pytest.raises(NotAnEvent, match=r"polis\.identity\.session_ended"):
        decode(headers, payload)
