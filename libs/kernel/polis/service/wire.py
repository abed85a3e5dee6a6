"""Problems as they travel: RFC 9457, one flat JSON object, on NATS and HTTP alike."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec import Struct

from polis.proto.contract import Problem, problem_of_type

MEMBERS = ("type", "title", "status", "detail", "instance")
"""What RFC 9457 says of every problem; a problem's own fields stand beside them under other names."""


class RemoteProblem(Problem, frozen=True):
    """A problem that this version of the contract does not know. `fields` are its own, as they came."""

    type: str  # type: ignore[misc]  # of the instance here: a class that we lack cannot tell it
    title: str  # type: ignore[misc]
    status: int  # type: ignore[misc]
    fields: dict[str, object]
    retryable: ClassVar[bool] = False


class _Head(Struct):
    type: str = "about:blank"
    title: str = ""
    status: int = 500
    detail: str = ""


def encode_problem(problem: Problem, *, detail: str = "", instance: str = "") -> bytes:
    """The problem as JSON: type, title, status, detail and instance where there are any, and its own fields."""
    body: dict[str, object] = {"type": problem.type, "title": problem.title, "status": problem.status}
    if detail:
        body["detail"] = detail
    if instance:
        body["instance"] = instance
    own = problem.fields if isinstance(problem, RemoteProblem) else msgspec.structs.asdict(problem)
    return msgspec.json.encode(body | own)


def decode_problem(payload: bytes) -> tuple[Problem, str]:
    """The problem and its detail. One that cannot be read as its declared type comes as a RemoteProblem."""
    try:
        head = msgspec.json.decode(payload, type=_Head)
    except msgspec.DecodeError:
        return RemoteProblem("about:blank", "The answer is no problem that can be read.", 500, {}), ""
    declared = problem_of_type(head.type)
    if declared is not None:
        try:
            return msgspec.json.decode(payload, type=declared), head.detail
        except msgspec.ValidationError:
            pass  # its fields changed between two versions: type, status and the raw fields still tell
    fields = msgspec.json.decode(payload, type=dict[str, object])
    own = {name: value for name, value in fields.items() if name not in MEMBERS}
    return RemoteProblem(head.type, head.title, head.status, own), head.detail
