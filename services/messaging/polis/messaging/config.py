"""Messaging's settings beyond those of every service."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from polis.service import Settings

_MIB = 1024**2


class Config(Settings, frozen=True, kw_only=True):
    """How much may be said, sent and kept."""

    slots: Annotated[int, Meta(ge=1, le=10_000)] = 512
    """Most calls wait for the group that they are committed with: as many as may wait may share the next one."""
    posts_per_second: Annotated[float, Meta(gt=0, le=1_000_000)] = 20.0
    """Messages of one principal, in all its conversations together; it may say five times as many at once."""
    conversation_posts_per_second: Annotated[float, Meta(gt=0, le=1_000_000)] = 200.0
    """Messages in one conversation, of all who are in it; five times as many at once."""
    agent_talk_turns: Annotated[int, Meta(ge=1, le=1_000_000)] = 32
    """How often agents may speak after one another before a person says something."""
    agent_talk_characters: Annotated[int, Meta(ge=1)] = 200_000
    """Characters of what agents say so."""
    turn_window_s: Annotated[float, Meta(gt=0, le=5)] = 0.4
    """How long agents may claim a message after the first one has."""
    turn_hold_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    """How long the agent whose claim has won may take to answer."""
    attachment_bytes: Annotated[int, Meta(ge=0)] = 25 * _MIB
    """Largest file that a message may carry."""
    attachment_types: str = "audio/*,image/*,video/*,text/*,application/*"
    """Media types of files that a message may carry, separated by commas; `audio/*` is all of audio. Programs never are."""
    message_retention_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    """Days that messages are kept where a conversation does not say otherwise; 0: for ever."""
    sweep_every_s: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    stream_lease_s: Annotated[float, Meta(gt=0, le=3600)] = 15.0
    """A stream of which nothing is heard for so long is taken to be lost."""
    stream_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 3600.0
    """How long a message may be said."""
    streams_per_principal: Annotated[int, Meta(ge=1, le=10_000)] = 64
    """Streams that somebody has open at a time."""
    stream_pieces_per_second: Annotated[float, Meta(gt=0, le=1_000_000)] = 40.0
    """Pieces of text of one stream; five times as many at once."""
    notify_after_s: Annotated[float, Meta(ge=0, le=86_400)] = 120.0
    """How long a message is unread before who wants that is told of it by mail or webhook."""
    notify_every_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    """Between two looks for such messages."""
    notifications_per_hour: Annotated[int, Meta(ge=1, le=10_000)] = 20
    """Of one principal; what is more waits for the next hour."""
    exports: Annotated[int, Meta(ge=1, le=64)] = 2
    """Conversations that are exported at a time: each holds a connection."""
