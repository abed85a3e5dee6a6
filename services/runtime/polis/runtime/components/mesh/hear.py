"""The component `event.wait`: a run goes on when its org tells something."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, Wait, waiting
from polis.runtime.components.expressions import compiled
from polis.runtime.hearing.rows import KIND, Sought

MAX_ITEM = 4096
"""Bytes of the message that a condition may look at: many wait, and each event is held against all that it may be for."""
_ENTITY = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Config(Struct, frozen=True):
    """Configuration of event.wait."""

    type: str
    entity: str = ""
    condition: str = ""
    since_s: float = 2.0
    timeout_s: float | None = None


def _scopes(config: Mapping[str, object]) -> tuple[str, ...]:
    return (str(config.get("type")).partition(".")[0] + ":read",)


@waiting("event.wait", needs=_scopes)
def event_wait(step: Step, inputs: Inputs) -> Wait:
    config, item = msgspec.convert(step.config, Config), inputs.get("in")
    if config.condition and (size := len(msgspec.json.encode(item))) > MAX_ITEM:
        raise StepFailed("event.item_too_large", f"a message of {size:,} bytes; {MAX_ITEM:,} are the most")
    sought = Sought(
        entity=_entity(config.entity, item),
        condition=config.condition,
        item=item if config.condition else None,
        since_s=config.since_s,
    )
    late = None if config.timeout_s is None else (("timeout", item),)
    return Wait(KIND, config.type, due_s=config.timeout_s, late=late, data=msgspec.to_builtins(sought))


def _entity(expression: str, item: object) -> str:
    """What the event is about; nothing where the step does not say. StepFailed `event.no_entity` for what names nothing."""
    if not expression:
        return ""
    value = compiled(expression).value({"item": item})
    if not isinstance(value, str) or not _ENTITY.fullmatch(value):
        raise StepFailed("event.no_entity", f"no name of what an event is about: {value!r:.100}")
    return value
