"""Components that look into one message: schema.check and pick."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from polis.graph import compiled
from polis.runtime.component import Inputs, Step, StepFailed, component


class Fields(Struct, frozen=True):
    """Configuration of pick."""

    keep: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    missing: Literal["skip", "null", "error"] = "skip"


class Expected(Struct, frozen=True):
    """Configuration of schema.check."""

    schema: dict[str, object]


@component("schema.check")
def schema_check(step: Step, inputs: Inputs) -> None:
    value = inputs["in"]
    found = compiled(msgspec.convert(step.config, Expected).schema).faults(value)
    if found:
        step.emit("invalid", {"value": value, "faults": [msgspec.to_builtins(fault) for fault in found]})
    else:
        step.emit("valid", value)


@component("pick")
def pick(step: Step, inputs: Inputs) -> None:
    given, config = inputs["in"], msgspec.convert(step.config, Fields)
    if not isinstance(given, dict):
        raise StepFailed("pick.not_an_object", f"pick takes an object, not {type(given).__name__}")
    dropped = set(config.drop)
    names = [name for name in given if name not in dropped] if config.keep is None else list(config.keep)
    absent = [name for name in dict.fromkeys([*names, *config.rename]) if name not in given]
    if absent and config.missing == "error":
        raise StepFailed("pick.missing", f"it has no field `{absent[0]:.100}`")
    source = {**given, **dict.fromkeys(absent)} if config.missing == "null" else given
    # Renamed fields come last, so that a new name wins over a field that had it before.
    plain = {name: source[name] for name in names if name in source and name not in config.rename}
    renamed = {new: source[old] for old, new in config.rename.items() if old in source and old not in dropped}
    step.emit("out", plain | renamed)
