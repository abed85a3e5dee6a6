"""Where something is said: the conversation, the message that it answers, and the name under which it is said once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.runtime.component import StepFailed

if TYPE_CHECKING:
    from polis.runtime.component import Step

_LONGEST = 64
"""Characters of a client id."""


class Answered(Struct, frozen=True):
    """As much of a message as its answer goes by; what a trigger for messages gives to its graph."""

    conversation_id: UUID
    seq: int | None = None
    thread: int | None = None


class Answering(Struct, frozen=True):
    """How a node answers: linked to the message, and below it in a thread or beside it."""

    quote: bool = True
    in_thread: bool = False

    def reply_to(self, message: Answered) -> int | None:
        return message.seq if self.quote else None

    def thread(self, message: Answered) -> int | None:
        """The thread that the message stands in; one below it where that is wanted."""
        return message.thread or (message.seq if self.in_thread else None)


def client_id(step: Step) -> str:
    """The same at every attempt, so that what was said before a crash is not said again."""
    if len(step.key) <= _LONGEST:
        return step.key
    return hashlib.sha256(step.key.encode()).hexdigest()


def run_id(step: Step) -> UUID:
    return UUID(step.key.partition("/")[0])


def text_of(value: object, most: int) -> str:
    """A text that may be said. StepFailed names what is wrong with another."""
    if not isinstance(value, str):
        raise StepFailed("conversation.no_text", f"what is said is a text, not {type(value).__name__}")
    if len(value) > most:
        raise StepFailed(
            "conversation.too_long", f"a message of {len(value):,} characters; {most:,} are the most"
        )
    return value.replace("\x00", "")
