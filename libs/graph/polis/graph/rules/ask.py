"""Rules of the component `ask`: what may be decided, and whether the answer of nobody is one that somebody could give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct

from polis.graph.reader import reader
from polis.graph.schema import compiled, schema_faults
from polis.proto.graph import JsonSchema
from polis.proto.problems import Fault
from polis.proto.runtime import AskKind, Choice, Decision

DENYING = frozenset({"deny", "decline"})
_CHOSEN = frozenset({"choice", "vote"})
_OF_KIND: Mapping[str, tuple[Decision, ...]] = {
    "approval": ("approve", "deny"),
    "input": ("submit",),
    "handoff": ("done", "decline"),
}


class _Later(Struct, frozen=True):
    after_s: float


class _Asking(Struct, frozen=True):
    kind: AskKind
    form: JsonSchema | None = None
    choices: tuple[Choice | str, ...] = ()
    timeout_s: float | None = None
    default: str | None = None
    default_value: object = None
    escalate: tuple[_Later, ...] = ()


_asking = reader(_Asking)


def decisions(kind: AskKind, choices: tuple[Choice, ...], *, always: bool) -> tuple[Decision, ...]:
    """Everything that can be answered."""
    if kind in _CHOSEN:
        return tuple(choice.key for choice in choices)
    return (*_OF_KIND[kind], "always") if kind == "approval" and always else _OF_KIND[kind]


def titled(choices: tuple[Choice | str, ...]) -> tuple[Choice, ...]:
    return tuple(Choice(given, given) if isinstance(given, str) else given for given in choices)


def faults(given: Mapping[str, object]) -> Iterator[Fault]:
    config = _asking(given)
    if bool(config.choices) is not (config.kind in _CHOSEN):
        yield Fault("/choices", "a choice or a vote has some, and nothing else")
    for key, count in Counter(choice.key for choice in titled(config.choices)).items():
        if count > 1:
            yield Fault("/choices", f"`{key}` is there twice")
    if config.form is not None and config.kind in _CHOSEN:
        yield Fault("/form", "a choice or a vote has none")
    after = [later.after_s for later in config.escalate]
    if after != sorted(after):
        yield Fault("/escalate", "the shortest time comes first")
    if config.form is None or not schema_faults(config.form):
        yield from _default_faults(config)


def _default_faults(config: _Asking) -> Iterator[Fault]:
    """What is wrong with the answer of nobody in time."""
    if config.default is None:
        if config.default_value is not None:
            yield Fault("/default_value", "there is no default that it is the value of")
        return
    if config.timeout_s is None:
        yield Fault("/timeout_s", "a default is for when an answer takes longer than this")
    open_to = decisions(config.kind, titled(config.choices), always=False)
    if config.default not in open_to:
        yield Fault("/default", f"expected one of: {', '.join(open_to)}")
    elif config.form is not None and config.default not in DENYING and not _as_they_are(config):
        yield from compiled(config.form).faults(config.default_value, "default_value")


def _as_they_are(config: _Asking) -> bool:
    """Whether the arguments are approved as they are when nobody answers in time."""
    return config.kind == "approval" and config.default_value is None
