"""Whom asks and handoffs are addressed to: how that is stored, and what makes it whole."""

from __future__ import annotations

from uuid import UUID

from polis.proto import Refused
from polis.proto.problems import Fault, Invalid
from polis.proto.runtime import Addressee


def key_of(to: Addressee) -> str:
    """How an addressee is stored: in one word, by which it is found."""
    return f"{to.kind}:{to.id or to.role or to.resource}"


def addressee_of(key: str) -> Addressee:
    kind, _, name = key.partition(":")
    match kind:
        case "principal":
            return Addressee("principal", id=UUID(name))
        case "role":
            return Addressee("role", role=name)
    return Addressee("grant", resource=name)


def demand_form(to: Addressee, at: str = "/to") -> None:
    """Refused(Invalid) unless an addressee names what its kind is named by, and nothing else. at: where it stands in the request."""
    named = {"principal": to.id, "role": to.role, "grant": to.resource}
    if any((value is not None) is not (kind == to.kind) for kind, value in named.items()):
        detail = "Expected `id` of a principal, `role` of a role, or `resource` of a grant"
        raise Refused(Invalid(faults=(Fault(pointer=at, detail=detail),)))
