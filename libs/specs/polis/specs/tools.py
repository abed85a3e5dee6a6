"""Operations as tools of a language model, in the shape that MCP lists them."""

from __future__ import annotations

from typing import Any

from polis.proto.contract import SIGNED_IN, Operation, operations
from polis.proto.identity import ROLE_SCOPES
from polis.proto.registry import load
from polis.specs.schemas import Json, description, documented, schema_of, summary


def tools(service: str) -> Json:
    """The tools that an agent can be given: what its bundle of scopes allows, and reads that need none."""
    load()
    declared = [o for name in documented(service) for o in operations(name)]
    return {"tools": [_tool(operation) for operation in declared if fits_an_agent(operation)]}


def fits_an_agent(operation: Operation) -> bool:
    """Bytes do not pass through a model, and a browser's cookies are not an agent's."""
    if operation.path is None or operation.binary or operation.local:
        return False
    open_read = operation.scope == SIGNED_IN and not operation.mutates
    return open_read or operation.scope in ROLE_SCOPES["agent"]


def _tool(operation: Operation) -> Json:
    tool: Json = {
        "name": f"{operation.service}_{operation.name}",
        "title": operation.name.replace("_", " ").capitalize(),
        "description": _description(operation),
        "inputSchema": _portable(schema_of(operation.request)) | {"additionalProperties": False},
        "annotations": _hints(operation),
        "_meta": {"polis/subject": operation.subject, "polis/scope": operation.scope},
    }
    if operation.answer is not None:
        tool["outputSchema"] = _portable(schema_of(operation.answer))
    return tool


def _description(operation: Operation) -> str:
    text = f"{summary(operation.request)} {description(operation.request)}".strip()
    refusals = " ".join(f"{problem.__name__}: {problem.title}" for problem in operation.problems)
    return f"{text} Refused with {refusals}" if refusals else text


def _hints(operation: Operation) -> Json:
    """By what the verbs of HTTP promise: PUT, PATCH and DELETE replace or remove what was there, POST adds."""
    return {
        "readOnlyHint": not operation.mutates,
        "destructiveHint": operation.verb in ("PUT", "PATCH", "DELETE"),
        "idempotentHint": operation.verb != "POST",
        "openWorldHint": False,
    }


def _portable(schema: Any) -> Any:
    """Without look-ahead, which models' grammars lack: in JSON Schema's dialect `$` is the very end anyway."""
    if isinstance(schema, list):
        return [_portable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    portable = {key: _portable(value) for key, value in schema.items()}
    if isinstance(pattern := portable.get("pattern"), str):
        portable["pattern"] = pattern.removesuffix(r"(?!\n)")
        if "(?" in portable["pattern"]:
            del portable["pattern"]  # the service still checks it
    return portable
