"""What somebody is in an org at this moment: asked by services that act on rights long after a token was seen."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import EVERY_SERVICE, INTERNAL, Request, Time, operation
from polis.proto.identity.grants import ResourcePattern
from polis.proto.identity.tokens import PrincipalNotFound
from polis.proto.identity.words import PrincipalKind, Role, Scope, Scopes

Makers = Annotated[
    tuple[UUID, ...], Meta(description="Who made an agent, and who made that one; the nearest first.")
]


class Opened(Struct, frozen=True):
    """What a grant opens, and until when."""

    resource: ResourcePattern
    until: Time | None = None


class Standing(Struct, frozen=True):
    """What a principal is in an org: its role, all that it may do there, and which resources grants of a verb open to it.

    second_factor: it does that in sessions with a second factor alone.
    """

    principal_id: UUID
    kind: PrincipalKind
    role: Role
    scopes: Scopes
    makers: Makers = ()
    opened: tuple[Opened, ...] = ()
    second_factor: bool = False


@operation(scope=INTERNAL, callers=(EVERY_SERVICE,), problems=(PrincipalNotFound,))
class GetStanding(Request[Standing], frozen=True):
    """Tell a service what somebody is in an org at this moment, and what grants of a verb open to it."""

    org_id: UUID
    principal_id: UUID
    verb: Scope
