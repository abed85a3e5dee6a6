"""Whom a message addresses: what those who answer by themselves are told of it."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.contract import INTERNAL, Request, operation
from polis.proto.identity import PrincipalKind
from polis.proto.messaging.words import Seq


class Addressed(Struct, frozen=True):
    """Who said a message, and whom it is for: nobody where it is there no more, or speaks to the room."""

    principal_ids: tuple[UUID, ...] = ()
    sender_id: UUID | None = None
    sender_kind: PrincipalKind = "user"


@operation(scope=INTERNAL, callers=("runtime",))
class GetAddressed(Request[Addressed], frozen=True):
    """Tell who is to answer a message: who is responsible, the other one of two, who is named in it, and whose message it answers.

    Of two that somebody else is responsible for by now, neither is meant by that alone.
    """

    org_id: UUID
    conversation_id: UUID
    seq: Seq
