"""Words that asks and standing approvals share: who is addressed, and what is meant."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.identity import ResourceName, Role

ANSWERS = "runtime:answer"
"""The scope of whoever answers, and the verb of the grants that asks are addressed by."""
MAX_ADDRESSEES = 20
SubjectPattern = Annotated[
    str,
    Meta(
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="`*` stands for any characters of one part, `**` at the end for all further parts.",
        examples=["mail/*@example.org"],
    ),
]


class Addressee(Struct, frozen=True):
    """Who may answer: a principal by `id`, all with a `role`, or whoever holds a grant of `runtime:answer` on a `resource`."""

    kind: Literal["principal", "role", "grant"]
    id: UUID | None = None
    role: Role | None = None
    resource: ResourceName | None = None


Addressees = Annotated[tuple[Addressee, ...], Meta(max_length=MAX_ADDRESSEES)]
