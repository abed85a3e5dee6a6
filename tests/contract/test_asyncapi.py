"""AsyncAPI says what travels on NATS; the official schema accepts it, and real envelopes are what it says."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from polis.proto.contract import events, operations
from polis.service.envelope import decode, encode
from polis.specs.asyncapi import asyncapi
from polis.specs.examples import example
from polis.testing.sweeps import sweep

OFFICIAL = Path(__file__).parent / "asyncapi" / "3.1.0-nats.json"
WHOLE = asyncapi("gateway")
ON_THE_BUS = [o for o in operations() if not o.local]
ID, NOW = UUID(int=3), datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


@cache
def official() -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(json.loads(OFFICIAL.read_bytes()))


def example_of(event):
    return msgspec.convert(example(event.event), event.event)


def test_the_document_of_each_service_is_valid_asyncapi(service):
    official().validate(asyncapi(service))


@pytest.mark.parametrize(
    "breakage",
    [
        lambda document: document["operations"]["rpc.catalog.get_run"].pop("action"),
        lambda document: document["operations"]["rpc.catalog.get_run"].update(queue="x"),
        lambda document: document["operations"]["rpc.catalog.get_run"]["bindings"]["nats"].update(queue=1),
        lambda document: document["components"]["messages"]["GetRun"].update(payload=3),
        lambda document: document["channels"]["rpc.catalog.get_run"].update(parameters=[]),
        lambda document: document.pop("info"),
    ],
)
def test_the_official_schema_as_it_is_kept_here_still_finds_faults(breakage):
    document = copy.deepcopy(asyncapi("runtime"))
    for part in ("operations", "channels"):
        document[part]["rpc.catalog.get_run"] = document[part].pop("rpc.runtime.get_run")
    assert official().is_valid(document)

    breakage(document)

    assert not official().is_valid(document)


def test_every_reference_leads_somewhere(service):
    document = asyncapi(service)

    def references(part):
        if isinstance(part, dict):
            yield from (v for k, v in part.items() if k == "$ref")
            part = part.values()
        if not isinstance(part, str):
            for inner in part if hasattr(part, "__iter__") else ():
                yield from references(inner)

    def lead(reference):
        here = document
        for step in reference.removeprefix("#/").split("/"):
            here = here.get(step, {})
        return here

    assert [r for r in references(document) if not lead(r)] == []


@sweep(ON_THE_BUS, lambda o: o.name)
def test_every_request_has_its_subject_its_queue_group_and_a_reply(operation):
    told = WHOLE["operations"][operation.subject]
    channel = WHOLE["channels"][operation.subject]

    assert told["action"] == "receive"
    assert channel["address"] == operation.subject
    assert told["bindings"]["nats"]["queue"] == operation.service
    assert len(told["reply"]["messages"]) == 2


def test_what_the_gateway_answers_itself_is_not_on_the_bus():
    local = [o.subject for o in operations() if o.local]

    assert local
    assert not set(local) & WHOLE["operations"].keys()


@sweep(events(), lambda e: e.fact)
def test_an_event_is_published_by_its_service_and_heard_by_its_listeners(event):
    channel = WHOLE["channels"][f"event.{event.service}.{event.fact}"]

    assert channel["address"].format(org="*", entity="*") == event.pattern
    assert WHOLE["operations"][f"{event.service}.{event.fact}"]["action"] == "send"
    for listener in event.listeners:
        assert asyncapi(listener)["operations"][f"{listener}.on_{event.fact}"]["action"] == "receive"


@sweep(events(), lambda e: e.fact)
def test_an_envelope_is_what_the_document_says(event):
    subject, headers, payload = encode(example_of(event), ID, NOW, "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    message = WHOLE["components"]["messages"][event.event.__name__]
    components = {"components": WHOLE["components"]}

    jsonschema_rs.Draft202012Validator(message["headers"]).validate(headers)
    jsonschema_rs.Draft202012Validator(message["payload"] | components).validate(json.loads(payload))
    assert subject.startswith(event.pattern.removesuffix("*.*"))


@sweep(events(), lambda e: e.fact)
def test_the_cloudevents_library_reads_every_event(event):
    given = example_of(event)

    _, headers, payload = encode(given, ID, NOW)
    read = from_binary(HTTPMessage(headers=headers, body=payload), JSONFormat())

    assert (read.get_id(), read.get_time(), read.get_specversion()) == (str(ID), NOW, "1.0")
    assert read.get_type() == f"polis.{event.service}.{event.fact}"
    assert read.get_subject() == str(getattr(given, event.entity))
    assert decode(headers, payload) == given
