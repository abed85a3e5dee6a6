"""What `$SRV` is answered; nats-py's micro client is the oracle for the shapes."""

from __future__ import annotations

import msgspec
import pytest
from nats.micro.service import ServiceInfo, ServicePing, ServiceStats, ServiceVerb, control_subject

from polis.proto.contract import operations
from polis.proto.registry import SERVICES, load
from polis.service import discovery

load()


class Served:
    def __init__(self, operation, requests=0, errors=0, seconds=0.0, last_error=""):
        self.operation = operation
        self.requests = requests
        self.errors = errors
        self.seconds = seconds
        self.last_error = last_error


def over_the_wire(answer):
    return msgspec.json.decode(msgspec.json.encode(answer))


def test_the_subjects_are_those_that_micro_clients_ask():
    me = discovery.identify("catalog")

    for verb in ServiceVerb:
        assert discovery.subjects(verb.value, me) == (
            control_subject(verb),
            control_subject(verb, me.name),
            control_subject(verb, me.name, me.id),
        )


def test_a_ping_is_read_by_the_micro_client():
    me = discovery.identify("catalog")

    read = ServicePing.from_dict(over_the_wire(discovery.ping(me)))

    assert (read.name, read.id, read.version) == ("catalog", me.id, me.version)


@pytest.mark.parametrize("service", [entry.name for entry in SERVICES])
def test_info_is_read_by_the_micro_client_and_names_every_operation(service):
    declared = operations(service)

    answer = over_the_wire(discovery.info(discovery.identify(service), declared))
    read = ServiceInfo.from_dict(answer)

    assert answer["type"] == "io.nats.micro.v1.info_response"
    assert [e.subject for e in read.endpoints] == [o.subject for o in declared]
    assert {e.queue_group for e in read.endpoints} == {service}
    assert all(isinstance(value, str) for e in read.endpoints for value in e.metadata.values())
    assert read.description


def test_stats_are_read_by_the_micro_client_in_nanoseconds():
    first, second, *_ = operations("catalog")
    endpoints = [Served(first, requests=4, errors=1, seconds=0.002, last_error="404:No."), Served(second)]

    read = ServiceStats.from_dict(over_the_wire(discovery.stats(discovery.identify("catalog"), endpoints)))

    busy, idle = read.endpoints
    assert (busy.num_requests, busy.num_errors, busy.last_error) == (4, 1, "404:No.")
    assert (busy.processing_time, busy.average_processing_time) == (2_000_000, 500_000)
    assert (idle.num_requests, idle.average_processing_time) == (0, 0)


def test_an_operation_tells_its_scope_its_route_and_where_its_schema_stands():
    start = next(o for o in operations("runtime") if o.name == "start_run")

    told = discovery.metadata(start)

    assert told["scope"] == "runtime:run"
    assert told["http"] == "POST /api/v1/runs"
    assert told["request"] == "/docs/schemas.json#/$defs/StartRun"


def test_two_processes_of_a_service_have_different_ids():
    assert discovery.identify("catalog").id != discovery.identify("catalog").id


class FakeBus:
    def __init__(self):
        self.callbacks = {}
        self.published = []

    async def subscribe(self, subject, on_message, *, queue=""):
        self.callbacks[subject] = on_message
        bus = self

        class Subscription:
            def unsubscribe(self):
                del bus.callbacks[subject]

        return Subscription()

    def publish(self, subject, payload, *, headers=None, reply=""):
        self.published.append((subject, msgspec.json.decode(payload)))


class Asked:
    reply = "inbox.1"


async def test_every_control_subject_is_answered_until_it_stops():
    bus = FakeBus()
    served = discovery.Discovery(bus, "runtime", [Served(o) for o in operations("runtime")])

    await served.start()
    for callback in tuple(bus.callbacks.values()):
        callback(Asked())

    assert len(bus.published) == 9
    assert {answer["type"] for _, answer in bus.published} == {
        f"io.nats.micro.v1.{verb}_response" for verb in ("ping", "info", "stats")
    }
    served.stop()
    assert bus.callbacks == {}
