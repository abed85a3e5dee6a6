"""From an HTTP request to an operation's request: path, query and body, refused with a fault for each wrong field."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from polis.proto import Refused
from polis.proto.contract import fields_of
from polis.proto.problems import Fault, Invalid, Malformed, UnsupportedMedia
from polis.service.faults import faults_in, invalid_from_msgspec, unknown_fields

if TYPE_CHECKING:
    from polis.proto import Operation

_MAX_DEPTH = 64
_MAX_QUERY_FIELDS = 50


@cache
def _query_fields(operation: Operation) -> frozenset[str]:
    fields = frozenset(fields_of(operation.request))
    return fields - {operation.raw_body}


def to_request(
    operation: Operation, path: dict[str, str], query: bytes, body: bytes, media_type: str
) -> object:
    """The validated request. Refused(Invalid | Malformed | UnsupportedMedia); nothing has been done by then."""
    if operation.raw_body is not None:
        values: dict[str, object] = {**_query(operation, query), **path}
        return _convert(operation, values, body)
    if operation.verb in ("GET", "DELETE"):
        return _convert(operation, {**_query(operation, query), **path}, None)
    if query:
        raise Refused(
            Invalid(
                faults=tuple(
                    Fault(f"/{n}", "takes no query parameters") for n, _ in parse_qsl(query.decode("latin-1"))
                )
            )
        )
    return _from_json(operation, path, body, media_type)


def _from_json(operation: Operation, path: dict[str, str], body: bytes, media_type: str) -> object:
    if body and media_type.partition(";")[0].strip().lower() != "application/json":
        raise Refused(UnsupportedMedia(accepted="application/json"))
    try:
        content = msgspec.json.decode(body or b"{}")
    except msgspec.DecodeError as error:
        raise Refused(Malformed(reason=str(error))) from None
    except RecursionError:
        raise Refused(Malformed(reason="the body is nested too deeply")) from None
    if not isinstance(content, dict):
        raise Refused(Invalid(faults=(Fault("", f"Expected `object`, got `{type(content).__name__}`"),)))
    if clash := [name for name in path if name in content]:
        raise Refused(Invalid(faults=tuple(Fault(f"/{name}", "stands in the path") for name in clash)))
    faults = unknown_fields(operation.request, content)
    if faults:
        raise Refused(Invalid(faults=tuple(faults)))
    try:
        typed_path = {name: _typed(operation, name, value) for name, value in path.items()}
        return msgspec.convert({**content, **typed_path}, operation.request)
    except msgspec.ValidationError:
        raise Refused(
            Invalid(faults=tuple(faults_in(operation.request, {**content, **typed_path})))
        ) from None


def _typed(operation: Operation, name: str, value: str) -> object:
    """A path parameter as its field's type: the only part of such a request that arrives as text."""
    try:
        return msgspec.to_builtins(msgspec.convert(value, fields_of(operation.request)[name], strict=False))
    except msgspec.ValidationError as error:
        raise Refused(Invalid(faults=(Fault(f"/{name}", str(error)),))) from None


def _convert(operation: Operation, values: dict[str, object], body: bytes | None) -> object:
    if body is not None and operation.raw_body is not None:
        values[operation.raw_body] = body
    try:
        return msgspec.convert(values, operation.request, strict=False, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise Refused(invalid_from_msgspec(error)) from None


def _query(operation: Operation, query: bytes) -> dict[str, object]:
    if not query:
        return {}
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS
        )
    except ValueError as error:
        raise Refused(Malformed(reason=f"query: {error}")) from None
    unknown = [name for name, _ in pairs if name not in _query_fields(operation)]
    if unknown:
        raise Refused(Invalid(faults=tuple(Fault(f"/{name}", "unknown field") for name in unknown)))
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refused(Malformed(reason="query: a parameter stands twice"))
    return dict(pairs)
