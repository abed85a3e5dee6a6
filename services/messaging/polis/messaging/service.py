"""Messaging answers for conversations: who takes part, what is said, and who has seen it. It owns schema `messaging`."""

from __future__ import annotations

from polis.messaging.addressing import service as addressing
from polis.messaging.asked import service as asked
from polis.messaging.config import Config
from polis.messaging.control import service as control
from polis.messaging.conversations import service as conversations
from polis.messaging.handoff import asking
from polis.messaging.handoff import service as handoff
from polis.messaging.keeping import service as keeping
from polis.messaging.live import service as live
from polis.messaging.marks import service as marks
from polis.messaging.messages import service as messages
from polis.messaging.notifications import service as notifications
from polis.messaging.own import open_own
from polis.messaging.participants import service as participants
from polis.messaging.search import service as search
from polis.messaging.streams import service as streams
from polis.messaging.turns import service as turns
from polis.service import Service

service = Service("messaging", settings=Config, open=open_own)
service.include(
    conversations.handlers,
    participants.handlers,
    messages.handlers,
    addressing.handlers,
    handoff.handlers,
    asking.handlers,
    asked.handlers,
    turns.handlers,
    marks.handlers,
    streams.handlers,
    control.handlers,
    live.handlers,
    search.handlers,
    keeping.handlers,
    notifications.handlers,
)
