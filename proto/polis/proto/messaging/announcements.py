"""Announcements: what is told now to everybody in an org who follows it, and kept nowhere."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Event, Request, Time, event, live, operation

MAX_ANNOUNCED_BYTES = 4_096
"""Of an announcement's data."""
AnnouncedText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2_000,
        pattern=r"^[^\x00]*$",
        description="What is announced, for people to read.",
        examples=["We restart in five minutes."],
    ),
]
AnnouncedData = Annotated[
    dict[str, object],
    Meta(
        description=f"What programs read of it, in {MAX_ANNOUNCED_BYTES} bytes of JSON at the most.",
        examples=[{"restart_in_s": 300}],
    ),
]


class Announcement(Struct, frozen=True):
    """What somebody announced."""

    id: UUID
    text: AnnouncedText
    announced_by: UUID
    announced_at: Time
    data: AnnouncedData = {}


class LiveAnnouncement(Struct, frozen=True):
    """What travels on `live.<org>.announcement.<org>`. Gateways tell it to all who follow the org, but to those it is not for."""

    announcement: Announcement
    except_for: tuple[UUID, ...] = ()


LIVE_ANNOUNCEMENT = live(LiveAnnouncement, topic="announcement", entity="org_id")


@event(entity="announcement_id", listeners=("identity",))
class AnnouncementMade(Event, frozen=True):
    """Somebody announced something in the org; `except_for`: to how many it was not told."""

    announcement_id: UUID
    by: UUID
    at: Time
    except_for: int = 0


@operation(http="POST /announcements", scope="messaging:announce", idempotent=False)
class Announce(Request[Announcement], frozen=True):
    """Tell something to all who follow the live topic `org` at this moment and may read messages, except for some principals.

    It is kept nowhere, and who is not there is not told: what is to be read later is posted as a message. It counts like one.
    That somebody announced something stands in the audit log.
    """

    text: AnnouncedText
    data: AnnouncedData = {}  # noqa: RUF012 - msgspec copies it
    except_for: Annotated[
        tuple[UUID, ...],
        Meta(max_length=100, description="Principals that are not told, such as the caller."),
    ] = ()
