"""The component `text.summarize`: the key sentences of a text or a thread, in their own words and order."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, component, message
from polis.runtime.components.summary.languages import language_of
from polis.runtime.components.summary.rank import Sentence, key_sentences
from polis.runtime.components.summary.sentences import sentences
from polis.runtime.components.worker import off_loop

MAX_SENTENCES = 300
"""Sentences that are compared with each other."""
MIN_PER_MAIL = 4
FIRST_MAIL, LAST_MAIL = 1.15, 1.3
"""What a conversation began with, and where it stands now, weigh more than what lies between."""


class Config(Struct, frozen=True):
    """How much is said."""

    sentences: int = 3
    max_chars: int = 600


class Person(Struct, frozen=True):
    """Who wrote a mail of the thread."""

    name: str = ""
    address: str = ""


class Part(Struct, frozen=True, rename={"sender": "from"}):
    """A mail of the thread."""

    text: str
    sender: Person = Person()
    date: str | None = None


class Source(Struct, frozen=True):
    """What is summarized: an object's `text`, or the `mails` of a thread."""

    text: str = ""
    subject: str = ""
    mails: tuple[Part, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.mails or (Part(self.text),)


@component("text.summarize")
async def summarize(step: Step, inputs: Inputs) -> None:
    item = inputs["in"]
    config = msgspec.convert(step.config, Config)
    source = Source(text=item) if isinstance(item, str) else message(inputs, "in", Source)
    said = await off_loop(summary, source, config)
    rest = (
        {name: value for name, value in item.items() if name not in _REPLACED}
        if isinstance(item, Mapping)
        else {}
    )
    step.emit("out", {**rest, "sentences": said})


_REPLACED = frozenset(("text", "mails", "sentences"))


def summary(source: Source, config: Config) -> list[dict[str, object]]:
    """The sentences, each with who wrote it and when where that is known."""
    language = language_of("\n".join(part.text for part in source.parts[-10:]))
    candidates: list[tuple[Part, Sentence]] = []
    for number, part in enumerate(source.parts):
        candidates += [(part, sentence) for sentence in _of(part, number, len(source.parts), language)]
    candidates = candidates[-MAX_SENTENCES:]
    ranked = [sentence for _, sentence in candidates]
    chosen = key_sentences(ranked, title=source.subject, count=config.sentences, max_chars=config.max_chars)
    return [_said(*candidates[index]) for index in chosen]


def _of(part: Part, number: int, parts: int, language: str) -> list[Sentence]:
    weight = LAST_MAIL if number == parts - 1 else FIRST_MAIL if number == 0 else 1.0
    limit = max(MIN_PER_MAIL, MAX_SENTENCES // parts)
    found = sentences(part.text, language)[:limit]
    return [Sentence(text, place, weight if parts > 1 else 1.0) for place, text in enumerate(found)]


def _said(part: Part, sentence: Sentence) -> dict[str, object]:
    writer = part.sender.name or part.sender.address
    if not writer:
        return {"text": sentence.text}
    return {"text": sentence.text, "from": writer, "date": part.date}
