"""The component `ask`: a wait that people bring the outcome of. What becomes of it stands in polis.runtime.asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from polis.graph import compiled, schema_faults
from polis.proto.contract import EARLIEST
from polis.proto.problems import Fault
from polis.runtime.asks import judge
from polis.runtime.asks.opening import KIND
from polis.runtime.asks.spec import Config, choices_of, decisions, spec, templates
from polis.runtime.component import Inputs, Step, StepFailed, Wait, waiting
from polis.runtime.components.mustache import parsed, render
from polis.runtime.components.worker import off_loop

_CHOSEN = frozenset({"choice", "vote"})


def _faults(given: Mapping[str, object]) -> tuple[Fault, ...]:
    config = msgspec.convert(given, Config)
    return tuple(_all_faults(config))


def _all_faults(config: Config) -> Iterator[Fault]:
    yield from _template_faults(config)
    if bool(config.choices) is not (config.kind in _CHOSEN):
        yield Fault("/choices", "a choice or a vote has some, and nothing else")
    keys = [choice.key for choice in choices_of(config)]
    for key, count in Counter(keys).items():
        if count > 1:
            yield Fault("/choices", f"`{key}` is there twice")
    if config.form is not None and config.kind in _CHOSEN:
        yield Fault("/form", "a choice or a vote has none")
    broken = () if config.form is None else schema_faults(config.form, "form")
    yield from broken
    after = [later.after_s for later in config.escalate]
    if after != sorted(after):
        yield Fault("/escalate", "the shortest time comes first")
    if not broken:
        yield from _default_faults(config)


def _template_faults(config: Config) -> Iterator[Fault]:
    for template in templates(config):
        try:
            parsed(template)
        except StepFailed as failure:
            yield Fault("", f"in `{template[:40]}`: {failure}")


def _default_faults(config: Config) -> Iterator[Fault]:
    """What is wrong with the answer of nobody in time: it is one that somebody could give."""
    if config.default is None:
        if config.default_value is not None:
            yield Fault("/default_value", "there is no default that it is the value of")
        return
    if config.timeout_s is None:
        yield Fault("/timeout_s", "a default is for when an answer takes longer than this")
    open_to = decisions(config.kind, choices_of(config), always=False)
    if config.default not in open_to:
        yield Fault("/default", f"expected one of: {', '.join(open_to)}")
    elif config.form is not None and config.default not in judge.DENYING and not _as_they_are(config):
        yield from compiled(config.form).faults(config.default_value, "default_value")


def _as_they_are(config: Config) -> bool:
    """Whether the arguments are approved as they are when nobody answers in time."""
    return config.kind == "approval" and config.default_value is None


@waiting("ask", check=_faults)
async def ask(step: Step, inputs: Inputs) -> Wait:
    config, value = msgspec.convert(step.config, Config), inputs["in"]
    rendered = await off_loop(_rendered, config, value)
    asked = spec(config, value, rendered)
    late = judge.default_answer(asked, EARLIEST)
    emitted = None if late is None else judge.outcome(asked, late).emitted
    return Wait(KIND, due_s=config.timeout_s, late=emitted, data=asked)


def _rendered(config: Config, value: object) -> dict[str, str]:
    return {template: render(template, value, lambda text: text) for template in templates(config)}
