"""May this principal do that to this resource? One pure function of scopes, grants and the moment decides, everywhere.

Two things must hold: the principal holds the verb's scope (its role's, narrowed by its token or key), and the resource is
open to it: by visibility, because it owns it, or by a grant. Grants only ever add; nothing is taken away by giving one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, get_args
from uuid import UUID

from msgspec import Struct

from polis.proto.identity import DataClass, Decision, Visibility

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.proto.identity import Grant, Holder, Weight

_CLASSES: tuple[str, ...] = get_args(get_args(DataClass)[0])
NEARNESS = ("other_holder", "other_verb", "other_resource", "data_class", "expired", "approval", "counts")
"""Weights of a grant from the farthest to the nearest: a refusal names what the nearest one lacks."""


class Who(Struct, frozen=True):
    """A principal in an org. `scopes`: what its role gives and its token or key leaves; `units`: its own and those above."""

    id: UUID
    role: str
    scopes: frozenset[str]
    units: frozenset[UUID] = frozenset()


class Question(Struct, frozen=True):
    """What is to be done, with what. `visibility` and `owner_id` are the resource's."""

    verb: str
    resource: str
    visibility: Visibility = "private"
    owner_id: UUID | None = None
    data_class: DataClass = "internal"


def decide(who: Who, question: Question, grants: Iterable[Grant], now: datetime) -> Decision:
    """The decision, in one org. A grant that counts goes before one that waits for approval; of equals the one with the lowest id."""
    if question.verb not in who.scopes:
        return Decision("refused", "scope")
    if who.id == question.owner_id:
        return Decision("allowed", "owner")
    if question.visibility != "private":
        return Decision("allowed", question.visibility)
    weighed = [(weigh(grant, who, question, now), grant.id) for grant in grants]
    if not weighed:
        return Decision("refused", "no_grant")
    return _by(*min(weighed, key=lambda pair: (-NEARNESS.index(pair[0]), pair[1])))


def _by(weight: Weight, grant_id: UUID) -> Decision:
    """What the nearest grant comes to."""
    match weight:
        case "counts":
            return Decision("allowed", "grant", grant_id)
        case "approval":
            return Decision("approval", "approval", grant_id)
        case "expired" | "data_class":
            return Decision("refused", weight, grant_id)
    return Decision("refused", "no_grant")


def weigh(grant: Grant, who: Who, question: Question, now: datetime) -> Weight:
    """What one grant is worth for a question."""
    conditions = grant.conditions
    if not holds(grant.holder, who):
        return "other_holder"
    if grant.verb != question.verb:
        return "other_verb"
    if not matches(grant.resource, question.resource):
        return "other_resource"
    if conditions.expires_at is not None and conditions.expires_at <= now:
        return "expired"
    if _CLASSES.index(question.data_class) > _CLASSES.index(conditions.data_class):
        return "data_class"
    return "approval" if conditions.approval and grant.approved_by is None else "counts"


def holds(holder: Holder, who: Who) -> bool:
    match holder.kind:
        case "principal":
            return holder.id == who.id
        case "unit":
            return holder.id in who.units
        case "role":
            return holder.role == who.role
        case "everyone":
            return True


def matches(pattern: str, resource: str) -> bool:
    """Whether a pattern covers a resource's name: `*` is any text without `/`, and a last part `**` any further parts."""
    parts, names = pattern.split("/"), resource.split("/")
    if parts[-1] == "**":
        parts.pop()
        if len(names) <= len(parts):
            return False
        names = names[: len(parts)]
    return len(parts) == len(names) and all(map(_part_matches, parts, names))


def _part_matches(pattern: str, name: str) -> bool:
    """Each star takes as little as it can, and only the last one is taken back: linear, whatever somebody writes."""
    at = here = 0
    star, resume = -1, 0
    while here < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, here
            at += 1
        elif at < len(pattern) and pattern[at] == name[here]:
            at, here = at + 1, here + 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


def effective(*bounds: frozenset[str]) -> frozenset[str]:
    """What is left of rights that several things bound at once: a key, its creator and the org."""
    return frozenset.intersection(*bounds)
