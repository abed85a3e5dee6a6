"""Mails to people. An event tells that there is one; what it says is nobody's but the sender's and the receiver's."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta

from polis.proto.contract import Event, event

MailKind = Annotated[
    Literal["password_reset", "password_changed", "sign_up", "ask", "unread"],
    Meta(examples=["password_reset"]),
]


@event(entity="mail_id")
class MailRequested(Event, frozen=True):
    """A mail to an account lies ready to be sent."""

    mail_id: UUID
    kind: MailKind
    account_id: UUID
