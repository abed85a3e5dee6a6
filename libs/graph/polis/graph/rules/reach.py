"""Rules of components that reach out of a run: http.request and service.call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, convert

from polis.graph.faults import Malformed, pointer
from polis.graph.formats.names import callable_operations, refuse_header
from polis.proto.problems import Fault

MAX_MESSAGE = 700_000
"""Bytes of an answer that becomes a message: the journal holds it."""


class _Request(Struct, frozen=True):
    url: str = ""
    headers: dict[str, str] = {}
    credential: object = None
    answer: str = "auto"
    max_bytes: int = 0


class _Call(Struct, frozen=True):
    operation: str
    arguments: dict[str, object] = {}


def request(config: Mapping[str, object]) -> Iterator[Fault]:
    wanted = convert(config, _Request)
    if wanted.credential is not None and not wanted.url:
        # Otherwise whoever writes the messages decides who gets the secret.
        yield Fault("/url", "required with a credential")
    if wanted.answer != "file" and wanted.max_bytes > MAX_MESSAGE:
        yield Fault("/max_bytes", f"an answer that becomes no file has at most {MAX_MESSAGE:,} bytes")
    for name, value in wanted.headers.items():
        try:
            refuse_header(name, value)
        except Malformed as error:
            yield Fault(pointer("headers", name), str(error))


def call(config: Mapping[str, object]) -> Iterator[Fault]:
    wanted = convert(config, _Call)
    found = callable_operations().get(wanted.operation)
    known = set(found.request.__struct_fields__) if found is not None else set(wanted.arguments)
    for name in wanted.arguments:
        if name not in known:
            yield Fault(pointer("arguments", name), "unknown field")
