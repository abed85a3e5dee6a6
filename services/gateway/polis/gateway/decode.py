"""From an HTTP request to an operation's request: path, query and body, refused with a fault for each wrong field."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec
from msgspec import NODEFAULT, structs

from polis.gateway.oauth import FORM
from polis.proto import Refused
from polis.proto.contract import fields_of
from polis.proto.problems import Fault, Invalid, Malformed, UnsupportedMedia
from polis.service import call
from polis.service.faults import faults_in, flat_fields, invalid_from_msgspec, pointer, unknown_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polis.proto import Operation

_JSON = "application/json"
_MAX_DEPTH = 64
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""One that is never closed goes on to the end: else it would be looked for again at each quote in it."""
_ROUND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_MAX_QUERY_FIELDS = 50


@cache
def _query_fields(operation: Operation) -> frozenset[str]:
    fields = frozenset(fields_of(operation.request))
    return fields - {operation.raw_body}


@cache
def _plain_decoder(operation: Operation) -> msgspec.json.Decoder[object] | None:
    """Of requests that hold flat fields alone; anything else is an error of it, well or not. None where they cannot."""
    flat, every = flat_fields(operation.request), structs.fields(operation.request)
    fields = [field for field in every if field.encode_name in flat]
    if any(field.required and field.encode_name not in flat for field in every):
        return None
    kind = msgspec.defstruct(
        operation.name,
        [(field.name, field.type, _default(field)) for field in fields],
        rename={field.name: field.encode_name for field in fields},
        forbid_unknown_fields=True,
        kw_only=True,
    )
    return msgspec.json.Decoder(kind)


def _default(field: structs.FieldInfo) -> object:
    if field.default_factory is not NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return field.default


def to_request(
    operation: Operation, path: dict[str, str], query: bytes, body: bytes, media_type: str
) -> object:
    """The validated request. Refused(Invalid | Malformed | UnsupportedMedia); nothing has been done by then."""
    if operation.raw_body is not None:
        values: dict[str, object] = {**_query(operation, query), **path}
        return _convert(operation, values, body)
    if operation.verb in ("GET", "DELETE"):
        return _convert(operation, {**_query(operation, query), **path}, None)
    if query and (given := _pairs(query)):
        faults = (Fault(pointer(name), "takes no query parameters") for name in dict(given))
        raise Refused(Invalid(faults=tuple(faults)))
    if media_type.startswith(FORM) and operation.of_oauth:
        form = _form(operation, body)
        _demand_one_way(form, path)
        return _convert(operation, {**form, **path}, None)
    return _from_json(operation, path, body, media_type)


def _form(operation: Operation, body: bytes) -> dict[str, object]:
    """Fields of a form; what is not recognised is ignored, and nothing may stand twice (RFC 6749 3.2)."""
    try:
        pairs = parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=_MAX_QUERY_FIELDS)
    except UnicodeError:
        raise Refused(Malformed(reason="form: Expected percent-encoded UTF-8")) from None
    except ValueError as error:
        raise Refused(Malformed(reason=f"form: {error}")) from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refused(Malformed(reason="form: a parameter stands twice"))
    return {name: value for name, value in pairs if name in _query_fields(operation)}


def _demand_one_way(form: dict[str, object], said: dict[str, str]) -> None:
    """A client that is known by its headers is no other one in the form, and has no secret there (RFC 6749 2.3)."""
    if "client_id" in said and (
        "client_secret" in form or form.get("client_id", said["client_id"]) != said["client_id"]
    ):
        raise Refused(Malformed(reason="form: the client's credentials stand in the headers already"))


def to_payload(
    operation: Operation, path: dict[str, str], query: bytes, body: bytes, media_type: str
) -> bytes:
    """The validated request as it travels. A body that is the whole request is passed on as it came."""
    plain = not (path or query or operation.binary or operation.verb in ("GET", "DELETE"))
    if body and plain and not media_type.startswith(FORM):
        return whole(operation, body, media_type)
    return call.encode(operation, to_request(operation, path, query, body, media_type))


def whole(operation: Operation, body: bytes, media_type: str = _JSON) -> bytes:
    """A body that holds all fields of the request, as it came. Refused like `to_request`."""
    if media_type == _JSON and _is_well(operation, body):
        return body
    _check_fields(operation, _json(body, media_type))
    try:
        call.request_decoder(operation).decode(body)
    except msgspec.ValidationError:
        raise Refused(Invalid(faults=tuple(faults_in(operation.request, _json(body, media_type))))) from None
    return body


def _is_well(operation: Operation, body: bytes) -> bool:
    """Whether nothing is wrong with a plain body, which most are; of any other it is not known."""
    plain = _plain_decoder(operation)
    if plain is None or depth_of(body):
        return False
    try:
        plain.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _from_json(operation: Operation, path: dict[str, str], body: bytes, media_type: str) -> object:
    content = _json(body, media_type)
    if clash := [name for name in path if name in content]:
        raise Refused(
            Invalid(faults=tuple(Fault(f"/{name}", "stands outside the body already") for name in clash))
        )
    _check_fields(operation, content)
    try:
        typed_path = {name: _typed(operation, name, value) for name, value in path.items()}
        return msgspec.convert({**content, **typed_path}, operation.request)
    except msgspec.ValidationError:
        raise Refused(
            Invalid(faults=tuple(faults_in(operation.request, {**content, **typed_path})))
        ) from None


def _check_fields(operation: Operation, content: dict[str, object]) -> None:
    faults = unknown_fields(operation.request, content)
    if faults:
        raise Refused(Invalid(faults=tuple(faults)))


def _json(body: bytes, media_type: str) -> dict[str, object]:
    """The object in a body. Refused(UnsupportedMedia | Malformed | Invalid)."""
    if body and media_type != _JSON and media_type.partition(";")[0].strip().lower() != _JSON:
        raise Refused(UnsupportedMedia(accepted=_JSON))
    if depth_of(body) > _MAX_DEPTH:
        raise Refused(Malformed(reason=f"the body is nested more than {_MAX_DEPTH} deep"))
    try:
        content = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Malformed(reason=str(error))) from None
    except RecursionError:
        raise Refused(Malformed(reason="the body is nested too deeply")) from None
    if not isinstance(content, dict):
        raise Refused(Invalid(faults=(Fault("", f"Expected `object`, got `{type(content).__name__}`"),)))
    return content


def depth_of(body: bytes) -> int:
    """How deep JSON is nested, at the least; its brackets are only told from those in strings where there are many.

    The innermost pairs are taken away together, level by level: a bracket costs no step of its own.
    """
    if body.count(b"[") + body.count(b"{") <= _MAX_DEPTH:
        return 0
    left, depth = _STRING.sub(b"", body).translate(_ROUND, _NO_BRACKETS), 0
    while left and depth <= _MAX_DEPTH:
        outer = left.replace(b"[]", b"")
        if len(outer) == len(left):
            return depth + left.count(b"[")  # which nobody closes
        left, depth = outer, depth + 1
    return depth


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
        faults = tuple(_each_wrong(operation, values)) or invalid_from_msgspec(error).faults
        raise Refused(Invalid(faults=faults)) from None


def _each_wrong(operation: Operation, values: dict[str, object]) -> Iterator[Fault]:
    """What is wrong with each field by itself, of a request whose fields came as text."""
    kinds = fields_of(operation.request)
    for field in structs.fields(operation.request):
        name = field.encode_name
        if name not in values:
            if field.required:
                yield Fault(pointer(name), "Required, and missing")
            continue
        try:
            msgspec.convert(values[name], kinds[field.name], strict=False, builtin_types=(bytes,))
        except msgspec.ValidationError as error:
            yield from invalid_from_msgspec(error, pointer(name)).faults


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a query. Refused(Malformed)."""
    try:
        return parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS
        )
    except ValueError as error:
        raise Refused(Malformed(reason=f"query: {error}")) from None


def _query(operation: Operation, query: bytes) -> dict[str, object]:
    if not query:
        return {}
    pairs = _pairs(query)
    unknown = [name for name, _ in pairs if name not in _query_fields(operation)]
    if unknown:
        raise Refused(Invalid(faults=tuple(Fault(pointer(name), "unknown field") for name in unknown)))
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refused(Malformed(reason="query: a parameter stands twice"))
    return dict(pairs)
