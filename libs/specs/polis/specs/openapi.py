"""OpenAPI 3.1 of the operations that have a route: parameters, bodies, answers and problems from their declarations."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from msgspec import inspect

from polis.proto.contract import PUBLIC, SIGNED_IN, Operation, fields_of, operations, success_status
from polis.proto.problems import MESH_PROBLEMS, PreconditionFailed
from polis.proto.registry import load
from polis.specs.examples import example
from polis.specs.schemas import Json, components, description, documented, introduction, summary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.proto import Problem

PREFIX = "/api/v1"
PROBLEM_JSON = "application/problem+json"
OCTETS = "application/octet-stream"
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_ANY_REFUSAL = "What any operation may be refused with."
_REF = "#/components/schemas/{name}"
_BLANK = "BlankProblem"
_BLANK_SCHEMA: Json = {
    "title": _BLANK,
    "description": "What HTTP itself refuses, before there is a request: its status says it all (RFC 9457 4.2.1).",
    "type": "object",
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status"],
}
_GATEWAY = "http://127.0.0.1:8080"
_INTRODUCTION = """\
Every refusal is a problem (RFC 9457): `type` and `status` are contract, `title` and `detail` are prose.
A field that is not declared is refused. Lists are pages: pass `next_cursor` back as `after`.
"""


def openapi(service: str) -> Json:
    """The document of one service's routes; the gateway's has those of all. All are served by the gateway."""
    load()
    routed = [o for name in documented(service) for o in operations(name) if o.path is not None]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Polis" if service == "gateway" else f"Polis: {service}",
            "version": version("polis-proto"),
            "summary": introduction(service),
            "description": _INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [_server(service)],
        "tags": [{"name": name, "description": introduction(name)} for name in _services(routed)],
        "paths": _paths(routed),
        "components": {
            "schemas": _schemas(routed),
            "responses": {"Refused": _problem_response(MESH_PROBLEMS, _ANY_REFUSAL)},
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def places(operation: Operation) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The fields of a request by where they stand in HTTP: path, query, JSON body; a raw body is in none."""
    fields = fields_of(operation.request)
    path = {name: fields.pop(name) for name in re.findall(r"{(\w+)}", operation.path or "")}
    if operation.raw_body is not None:
        del fields[operation.raw_body]
        return path, fields, {}
    return (path, fields, {}) if operation.verb in ("GET", "DELETE") else (path, {}, fields)


def _server(service: str) -> Json:
    if service == "gateway":
        return {"url": "/", "description": "The public origin"}
    variable = {"default": _GATEWAY, "description": "The public origin, which serves these routes."}
    return {"url": "{gateway}", "variables": {"gateway": variable}}


def _services(routed: list[Operation]) -> list[str]:
    return list(dict.fromkeys(o.service for o in routed))


def _paths(routed: list[Operation]) -> Json:
    paths: Json = {}
    for operation in routed:
        paths.setdefault(PREFIX + (operation.path or ""), {})[(operation.verb or "").lower()] = _item(
            operation
        )
    return dict(sorted(paths.items()))


def _item(operation: Operation) -> Json:
    item: Json = {
        "operationId": operation.name,
        "tags": [operation.service],
        "summary": summary(operation.request).removesuffix("."),
        "description": _description(operation),
        "parameters": _parameters(operation),
        "responses": {**_answers(operation), **_refusals(operation)},
        "security": _security(operation),
    }
    if (body := _body(operation)) is not None:
        item["requestBody"] = body
    return {key: value for key, value in item.items() if value or key == "security"}


def _answers(operation: Operation) -> Json:
    """What it answers by status; that which was only taken is told in the same shape."""
    answers = {str(success_status(operation)): _success(operation)}
    if operation.may_be_accepted:
        answers["202"] = {**_success(operation), "description": "Taken: it goes on behind the answer."}
    if operation.answer is bytes and operation.streams:
        answers["206"] = {**_success(operation), "description": "The bytes of the range that `Range` names."}
    return answers


def _description(operation: Operation) -> str:
    who = {PUBLIC: "Anyone may call it.", SIGNED_IN: "Whoever is signed in may call it."}
    needs = who.get(operation.scope, f"Needs the scope `{operation.scope}`.")
    return "\n\n".join(part for part in (description(operation.request), needs) if part)


def _parameters(operation: Operation) -> list[Json]:
    path, query, _ = places(operation)
    required = {f.encode_name for f in _struct(operation).fields if f.required}
    defaults = {f.encode_name: f.default for f in _struct(operation).fields}
    parameters = [_parameter(name, kind, "path", required=True) for name, kind in path.items()]
    for name, kind in query.items():
        parameter = _parameter(name, kind, "query", required=name in required)
        if name not in required and defaults[name] is not None:
            parameter["schema"] = parameter["schema"] | {"default": defaults[name]}
        parameters.append(parameter)
    if operation.idempotent:
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if operation.takes_revision:
        parameters.append({"$ref": "#/components/parameters/IfMatch"})
    if operation.takes_environment:
        parameters.append({"$ref": "#/components/parameters/Environment"})
    if operation.scope != PUBLIC:
        parameters.append({"$ref": "#/components/parameters/OrgId"})
    return parameters


def _parameter(name: str, kind: Any, place: str, *, required: bool) -> Json:
    (schema,), _ = components([_given(kind)], _REF)
    parameter: Json = {"name": name, "in": place, "required": required, "schema": schema}
    if told := schema.pop("description", None):
        parameter["description"] = told
    return parameter


def _given(kind: Any) -> Any:
    """The type of a parameter that is given: one that may be None is then left out instead."""
    if get_origin(kind) in (Union, UnionType):
        return next(member for member in get_args(kind) if member is not NoneType)
    if get_origin(kind) is Annotated and NoneType in get_args(kind.__origin__):
        return Annotated[_given(kind.__origin__), *kind.__metadata__]
    return kind


def _body(operation: Operation) -> Json | None:
    if operation.raw_body is not None:
        schema = {"type": "string", "format": "binary", "maxLength": operation.max_body}
        return {"required": True, "content": {OCTETS: {"schema": schema}}}
    _, _, fields = places(operation)
    if not fields:
        return None
    required = any(f.required for f in _struct(operation).fields if f.encode_name in fields)
    shown = {name: value for name, value in example(operation.request).items() if name in fields}
    schema = {"$ref": _REF.format(name=_body_name(operation))}
    said: Json = {"schema": schema, "example": shown}
    forms: Json = {_FORM: said} if operation.of_oauth else {}
    return {"required": required, "content": forms | {_JSON: said}}


def _success(operation: Operation) -> Json:
    headers: Json = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    if operation.idempotent:
        headers["Idempotency-Replayed"] = {"$ref": "#/components/headers/Replayed"}
    if operation.answer is None:
        return {"description": "Done.", "headers": headers}
    if operation.answer is bytes:
        content: Json = {OCTETS: {"schema": {"type": "string", "format": "binary"}}}
        return {
            "description": "The bytes, with the media type that they were stored with.",
            "headers": headers,
            "content": content | {"*/*": {}},
        }
    (schema,), _ = components([operation.answer], _REF)
    media_type = "application/jsonl" if operation.streams else _JSON
    content = {media_type: {"schema": schema, "example": example(operation.answer)}}
    return {"description": summary(operation.answer), "headers": headers, "content": content}


def _refusals(operation: Operation) -> Json:
    """Declared problems by status, each status with the mesh's own problems of that status; `default` for the others."""
    declared = (*operation.problems, *((PreconditionFailed,) if operation.takes_revision else ()))
    told = (_JSON, PROBLEM_JSON) if operation.of_oauth else (PROBLEM_JSON,)
    refusals: Json = {}
    for status in sorted({problem.status for problem in declared}):
        own = [p for p in declared if p.status == status]
        text = " ".join(p.title for p in own)
        refusals[str(status)] = _problem_response(
            [*own, *(p for p in MESH_PROBLEMS if p.status == status and p not in own)], text, told
        )
    refused: Json = {"$ref": "#/components/responses/Refused"}
    if operation.of_oauth:
        refused = _problem_response(MESH_PROBLEMS, _ANY_REFUSAL, told)
    return refusals | {"default": refused}


def _problem_response(
    problems: Iterable[type[Problem]], text: str, media_types: tuple[str, ...] = (PROBLEM_JSON,)
) -> Json:
    refs = [{"$ref": _REF.format(name=name)} for name in [*(p.__name__ for p in problems), _BLANK]]
    headers: Json = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    if any("retry_after_s" in problem.__struct_fields__ for problem in problems):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    content = {media_type: {"schema": {"oneOf": refs}} for media_type in media_types}
    return {"description": text, "headers": headers, "content": content}


def _schemas(routed: list[Operation]) -> Json:
    answers = [o.answer for o in routed if o.answer not in (None, bytes)]
    problems = {problem for o in routed for problem in o.problems} | set(MESH_PROBLEMS)
    with_body = [o for o in routed if places(o)[2]]
    _, named = components([*answers, *problems, *(o.request for o in with_body)], _REF)
    for operation in with_body:
        named[_body_name(operation)] = _body_schema(operation, named.pop(operation.request.__name__))
    return dict(sorted((named | {_BLANK: _BLANK_SCHEMA}).items()))


def _body_name(operation: Operation) -> str:
    return operation.request.__name__ + "Body"


def _body_schema(operation: Operation, schema: Json) -> Json:
    """The request without what stands in the path; closed, since the gateway refuses fields that it does not know."""
    _, _, fields = places(operation)
    said_elsewhere = {"revision"} if operation.takes_revision else set()
    return schema | {
        "title": _body_name(operation),
        "properties": {name: schema["properties"][name] for name in fields},
        "required": [n for n in schema["required"] if n in fields and n not in said_elsewhere],
        "additionalProperties": False,
    }


def _security(operation: Operation) -> list[Json]:
    if operation.scope == PUBLIC:
        return []
    scopes = [] if operation.scope == SIGNED_IN else [operation.scope]
    cookie: Json = {"session": scopes} | ({"csrf": []} if operation.mutates else {})
    return [{"bearer": scopes}, cookie]


@cache
def _struct(operation: Operation) -> inspect.StructType:
    info = inspect.type_info(operation.request)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{operation.request} is no Struct")
    return info


_PARAMETERS: Json = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "The same key gives the same answer and one effect; with another request it is refused.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "example": "5f0c6d0e-order-17",
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "The `ETag` of what was read, or its revision: in place of `revision` in the body.",
        "schema": {"type": "string", "maxLength": 255},
        "example": '"7-5f0c6d0e"',
    },
    "Environment": {
        "name": "X-Env",
        "in": "header",
        "required": False,
        "description": "The environment: in place of `environment` in the body or query.",
        "schema": {"type": "string", "maxLength": 32},
        "example": "staging",
    },
    "OrgId": {
        "name": "X-Org-Id",
        "in": "header",
        "required": False,
        "description": "Selects one of the caller's orgs; without it, the one of the token.",
        "schema": {"type": "string", "format": "uuid"},
    },
}
_HEADERS: Json = {
    "RequestId": {"description": "Finds the request in the record.", "schema": {"type": "string"}},
    "Replayed": {
        "description": "`true` when this is the answer of an earlier call.",
        "schema": {"const": "true"},
    },
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
}
_SECURITY_SCHEMES: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token, or an API key (`pk_...`).",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-polis_access",
        "description": "A browser session's cookie; on plain http, without `__Host-`.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "The `csrf_token` of the browser session, in every request that changes something.",
    },
}
