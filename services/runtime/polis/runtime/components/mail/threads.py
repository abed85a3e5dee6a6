"""The component `mail.threads`: gathers mails, then emits one message for each conversation, the newest first."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component, message
from polis.runtime.components.mail.conversation import Address, Mail, conversations, last_date, subject_of
from polis.runtime.components.mail.quotes import own_words
from polis.runtime.components.worker import off_loop

THREADS_AT_ONCE = 32
"""Conversations that are emitted before the step asks for room."""
MAX_PARTICIPANTS = 20
MAX_ATTACHMENTS = 20


class Config(Struct, frozen=True):
    """Bounds of what is gathered and emitted."""

    max_mails: int = 20_000
    max_threads: int = 1_000
    max_text: int = 4_000


@component("mail.threads")
class Threads:
    def __init__(self, step: Step) -> None:
        self._step = step
        self._config = msgspec.convert(step.config, Config)
        self._mails: list[Mail] = []

    def receive(self, inputs: Inputs) -> None:
        if len(self._mails) >= self._config.max_mails:
            raise StepFailed("threads.too_many", f"more than {self._config.max_mails:,} mails (max_mails)")
        mail = message(inputs, "mail", Mail)
        self._mails.append(msgspec.structs.replace(mail, text=own_words(mail.text)[: self._config.max_text]))

    async def finish(self) -> None:
        groups = await off_loop(conversations, self._mails)
        emitted = groups[: self._config.max_threads]
        for number, mails in enumerate(emitted, start=1):
            self._step.emit("thread", thread(mails))
            if number % THREADS_AT_ONCE == 0:
                self._step.progress(number, len(emitted))
                await self._step.room()
        counts = {"mails": len(self._mails), "threads": len(groups), "left_out": len(groups) - len(emitted)}
        self._step.emit("report", counts)


def thread(mails: list[Mail]) -> dict[str, object]:
    """The message of a conversation; its mails are in the order of time."""
    first = mails[0]
    newest = last_date(mails)
    files = [file for mail in mails for file in mail.attachments]
    return {
        "id": hashlib.sha256(first.identity.encode()).hexdigest()[:20],
        "subject": subject_of(first.subject).text,
        "participants": [msgspec.to_builtins(who) for who in _participants(mails)],
        "count": len(mails),
        "first_date": min((mail.date for mail in mails if mail.date), default=None),
        "last_date": newest or None,
        "day": newest[:10],
        "attachments": msgspec.to_builtins(files[:MAX_ATTACHMENTS]),
        "mails": [_part(mail) for mail in mails],
    }


def _participants(mails: list[Mail]) -> list[Address]:
    """Everybody once, with the longest name that was written: writers first."""
    everybody = [mail.sender for mail in mails] + [who for mail in mails for who in mail.to]
    named: dict[str, Address] = {}
    for who in everybody:
        key = who.address or who.name
        if key and (key not in named or len(who.name) > len(named[key].name)):
            named[key] = who
    return list(named.values())[:MAX_PARTICIPANTS]


def _part(mail: Mail) -> dict[str, object]:
    return {"id": mail.id, "from": msgspec.to_builtins(mail.sender), "date": mail.date, "text": mail.text}
