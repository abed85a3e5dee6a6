"""Asks that no graph of an org makes: a conversation that waits for somebody to take it over."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from polis.proto.contract import INTERNAL, Request, operation
from polis.proto.runtime.words import Addressee

HANDOFF_GRAPH = "conversation-handoff"
"""The graph of these runs. It is the runtime's own, in no catalog."""


@operation(scope=INTERNAL, callers=("messaging",))
class AskForHandoff(Request[None], frozen=True):
    """Ask those whom a conversation is handed to in their inboxes, by a run that has the handoff's id; once more changes nothing."""

    org_id: UUID
    handoff_id: UUID
    conversation_id: UUID
    by: UUID
    to: Addressee
    reason: Annotated[str, Meta(max_length=500)]
    summary: Annotated[str, Meta(max_length=8000)] = ""


@operation(scope=INTERNAL, callers=("messaging",))
class WithdrawHandoff(Request[None], frozen=True):
    """Ask nobody any more; once more, or when it was answered, changes nothing."""

    org_id: UUID
    handoff_id: UUID
