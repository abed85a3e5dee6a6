"""What somebody wants to be told of outside of the chat, where, and when not. It is their own affair: nobody else reads or sets it."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import INTERNAL, Event, Request, Time, event, operation
from polis.proto.trigger import ZoneName

NotificationKind = Annotated[
    Literal["direct", "mentions", "replies", "everything"],
    Meta(
        description="What is said in conversations of two; where one is named; in answer to oneself; or anything.",
        examples=["mentions"],
    ),
]
WallTime = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)",
        description="Hours and minutes, as the clock on the wall shows them.",
        examples=["22:00"],
    ),
]
HookUrl = Annotated[
    str,
    Meta(
        max_length=2_000,
        pattern=r"^https?://[^\s\x00-\x1f\x7f/?#@]+([/?][^\s\x00-\x1f\x7f#]*)?$(?!\n)",
        description="Where it is posted: a host that is public, or that the operator allows. No user, no password.",
        examples=["https://example.com/hooks/polis"],
    ),
]
MAX_QUIETED = 200
"""Conversations that somebody wants to hear nothing of."""


class QuietHours(Struct, frozen=True):
    """When somebody is not to be disturbed, by the clock of a place: from `begin` on, until `end` of this day or the next."""

    begin: WallTime
    end: WallTime
    zone: ZoneName = "UTC"


class NotificationHook(Struct, frozen=True):
    """A webhook. secret_id: a secret of the vault that each post is signed with (Standard Webhooks), which its owner may use."""

    url: HookUrl
    secret_id: UUID


class NotificationPreferences(Struct, frozen=True):
    """What somebody is told of, and how. `failure`: why a webhook did not arrive the last time that one did not."""

    about: tuple[NotificationKind, ...] = ()
    mail: bool = False
    hook: NotificationHook | None = None
    quiet: QuietHours | None = None
    not_of: tuple[UUID, ...] = ()
    failed_at: Time | None = None
    failure: str | None = None


@operation(http="GET /notification-preferences", scope="messaging:read")
class GetNotificationPreferences(Request[NotificationPreferences], frozen=True):
    """Read what the caller is told of, and how; without any, nothing."""


@operation(http="PUT /notification-preferences", scope="messaging:read", by_person=True)
class SetNotificationPreferences(Request[NotificationPreferences], frozen=True):
    """Say what the caller is told of, and how. It replaces what was said before.

    One notification tells of a conversation, when something of this kind is unread for a while, and no other until it is
    read. It says how many messages are unread, and nothing of what they say. not_of: conversations to hear nothing of.
    """

    about: Annotated[tuple[NotificationKind, ...], Meta(max_length=4)] = ()
    mail: bool = False
    hook: NotificationHook | None = None
    quiet: QuietHours | None = None
    not_of: Annotated[
        tuple[UUID, ...], Meta(max_length=MAX_QUIETED, description="Conversations to hear nothing of.")
    ] = ()


class HookOf(Struct, frozen=True):
    """The webhook of somebody, if they want one."""

    hook: NotificationHook | None = None


@operation(scope=INTERNAL, callers=("runtime",))
class GetNotificationHook(Request[HookOf], frozen=True):
    """Tell where somebody's notifications are posted, who posts them: an event that many may read does not say it."""

    org_id: UUID
    principal_id: UUID


@operation(scope=INTERNAL, callers=("runtime",))
class ReportNotificationHook(Request[None], frozen=True):
    """Say that a webhook did not arrive, and why; unless it is another one by now."""

    org_id: UUID
    principal_id: UUID
    url: HookUrl
    failure: Annotated[str, Meta(min_length=1, max_length=500)]


@event(entity="principal_id", listeners=("identity", "runtime"))
class NotificationDue(Event, frozen=True):
    """Somebody has not read what they want to be told of. unread: how many messages, or 200 where they are more."""

    notification_id: UUID
    principal_id: UUID
    conversation_id: UUID
    unread: int
    mail: bool
    hook: bool
