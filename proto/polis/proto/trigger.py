"""What a graph says of when it runs by itself: its triggers. How they are kept and fired stands in polis.proto.runtime."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog.words import ResourceKey
from polis.proto.identity.words import AgentRef

MAX_TRIGGERS = 20
"""Triggers of one graph."""
MAX_DEPTH = 8
"""Runs that lead to each other by their ends: one that is so deep starts no further one."""
MOST_MISSED = 100
"""Slots that `all` makes up for after an outage, the newest ones."""

TriggerName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_-]{0,62}$(?!\n)",
        description="Name of a trigger, unique in its graph.",
        examples=["nightly"],
    ),
]
Cron = Annotated[
    str,
    Meta(
        max_length=200,
        pattern=r"^[A-Za-z0-9*,/#L -]+$(?!\n)",
        description="Minute, hour, day of month, month, day of week.",
        examples=["30 6 * * MON-FRI"],
    ),
]
ZoneName = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[A-Za-z0-9_+/-]+$(?!\n)",
        description="A time zone of the IANA database.",
        examples=["Europe/Istanbul"],
    ),
]
LocalDate = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}$(?!\n)",
        description="A date in the schedule's time zone.",
        examples=["2026-12-24"],
    ),
]
LocalTime = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$(?!\n)",
        description="A date and a time in the schedule's time zone.",
        examples=["2026-12-24T18:00"],
    ),
]
EventName = Annotated[
    str,
    Meta(
        max_length=100,
        pattern=r"^[a-z]+\.[a-z][a-z_]*$(?!\n)",
        description="An event of the mesh: `<service>.<fact>`.",
        examples=["catalog.version_published"],
    ),
]
Condition = Annotated[
    str,
    Meta(
        max_length=4000,
        description="A CEL expression of `event` (id, type, entity, time, data) that is true or false.",
        examples=["event.data.type == 'graph'"],
    ),
]

MessageCondition = Annotated[
    str,
    Meta(
        max_length=4000,
        description="A CEL expression of `message` (text, sender_id, sender_kind, conversation_id, seq and the rest of it) that is true or false.",
        examples=["message.text.matches('(?i)invoice')"],
    ),
]


class Manual(Struct, frozen=True, omit_defaults=True, tag="manual", tag_field="kind"):
    """Fires when somebody says so."""


class Schedule(Struct, frozen=True, omit_defaults=True, tag="schedule", tag_field="kind"):
    """Fires at slots: those of a cron expression, every so many seconds, or at listed times; exactly one of the three.

    A local time that does not exist counts as the first moment behind the gap; one that comes twice counts the first time.
    Cron expressions whose minute or hour begins with a star go by elapsed time instead, as Debian's cron does.
    missed: what becomes of slots that nobody fired for a minute, as after an outage: none, the last one, or all (MOST_MISSED).
    """

    cron: Cron | None = None
    every_s: Annotated[int, Meta(ge=1, le=31_536_000, description="Seconds.")] | None = None
    at: Annotated[tuple[LocalTime, ...], Meta(max_length=366)] = ()
    timezone: ZoneName = "UTC"
    excluded: Annotated[
        tuple[LocalDate, ...], Meta(max_length=366, description="Dates on which nothing fires.")
    ] = ()
    missed: Literal["skip", "once", "all"] = "once"


class Webhook(Struct, frozen=True, omit_defaults=True, tag="webhook", tag_field="kind"):
    """Fires when somebody posts to its address.

    secret: a secret of the org that the runtime may use; then posts are signed with it by the Standard Webhooks
    specification. Without one they carry the trigger's own token in X-Hook-Token.
    wait_s: how long the answer waits for the run's end; without it a post is accepted and that is all.
    """

    secret: UUID | None = None
    wait_s: Annotated[int, Meta(ge=1, le=20, description="Seconds.")] | None = None


class OnEvent(Struct, frozen=True, omit_defaults=True, tag="event", tag_field="kind"):
    """Fires when an event of the org is told and the condition holds.

    debounce_s: only when none has followed for so long (ten times that at the most), with the last one.
    throttle_s: only if it has not fired for so long.
    """

    type: EventName
    condition: Condition = ""
    debounce_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    throttle_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None


class OnRunEnd(Struct, frozen=True, omit_defaults=True, tag="run_end", tag_field="kind"):
    """Fires when a run of another graph, or of this one, has ended."""

    graph: ResourceKey
    states: Annotated[
        tuple[Literal["succeeded", "failed", "cancelled"], ...], Meta(min_length=1, max_length=3)
    ] = ("succeeded",)


class OnMessage(Struct, frozen=True, omit_defaults=True, tag="message", tag_field="kind"):
    """Fires when somebody says something to the trigger's agent where it takes part.

    That is in a conversation of two or one that it is responsible for, and where it is named or answered. Never what it said itself.

    agents: also what agents and applications say, as long as not eight of their messages follow each other within ten minutes.
    debounce_s: only when the conversation has been silent for so long (ten times that at the most), with the last one.
    missed: what becomes of messages that nobody took for a minute, as after an outage: none, the last of each conversation, or all.
    concurrent: each message is answered at once. Without it, those of a conversation are answered one after the other, in their
    order: the next one when the run before has ended, waits for people or a time, or has taken two minutes; up to 100 wait.
    """

    condition: MessageCondition = ""
    agents: bool = False
    debounce_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    missed: Literal["skip", "once", "all"] = "all"
    concurrent: bool = False


Occasion: TypeAlias = Manual | Schedule | Webhook | OnEvent | OnRunEnd | OnMessage
TriggerKind = Literal["manual", "schedule", "webhook", "event", "run_end", "message"]


class TriggerSpec(Struct, frozen=True, omit_defaults=True):
    """When a graph runs by itself, with which input and as whom.

    input: values of the graph's inputs. into: the input that takes what it was fired by: the body of a post, the event,
    the message, the run that ended, the slot. agent: who its runs act as; without one, whoever activated the version.
    """

    on: Occasion
    input: dict[str, object] = {}
    into: str | None = None
    agent: AgentRef | None = None
    description: Annotated[str, Meta(max_length=500)] = ""
