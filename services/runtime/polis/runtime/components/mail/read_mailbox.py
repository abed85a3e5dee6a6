"""The component `mail.read_mailbox`: a mailbox file becomes a stream of mails, in bounded memory.

Taking apart and parsing are CPU work, so each piece of the file is handed to a thread, and mails go on before the next.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from itertools import islice

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component, message
from polis.runtime.components.mail.container import Mailbox
from polis.runtime.components.mail.kept import RawMail
from polis.runtime.components.mail.parse import mail_of
from polis.runtime.components.worker import off_loop

PIECE_BYTES = 128 * 1024
"""How much of the file a thread gets at once; chunks come in any size."""
MAILS_AT_ONCE = 32


class Config(Struct, frozen=True):
    """Bounds of what is read."""

    max_text: int = 20_000
    max_mails: int = 100_000


class FileReference(Struct, frozen=True):
    """A stored file; `size` in bytes makes progress a share of the whole."""

    artifact_id: str
    name: str = "mailbox"
    size: int | None = None


class _Report(Struct):
    """What the step says at its end."""

    format: str = ""
    bytes: int = 0
    mails: int = 0
    bulk: int = 0
    flagged: int = 0

    def count(self, mail: dict[str, object]) -> None:
        self.mails += 1
        self.bulk += mail["bulk"] is True
        self.flagged += bool(mail["problems"])


@component("mail.read_mailbox")
async def read_mailbox(step: Step, inputs: Inputs) -> None:
    file = message(inputs, "mailbox", FileReference)
    config = msgspec.convert(step.config, Config)
    mailbox, report = Mailbox(file.name), _Report()
    async with aclosing(_pieces(step.artifact(file.artifact_id))) as pieces:
        async for piece in pieces:
            await _pass_on(step, mailbox.feed(piece), config, report)
            report.bytes += len(piece)
            step.progress(report.bytes, file.size)
    await _pass_on(step, mailbox.close(), config, report)
    report.format = mailbox.kind
    step.emit("report", msgspec.to_builtins(report))


async def _pass_on(step: Step, raws: Iterator[RawMail], config: Config, report: _Report) -> None:
    while mails := await off_loop(_parsed, raws, config.max_text):
        for mail in mails:
            report.count(mail)
            step.emit("mail", mail)
        if report.mails > config.max_mails:
            raise StepFailed("mailbox.too_many", f"more than {config.max_mails:,} mails (max_mails)")
        await step.room()


def _parsed(raws: Iterator[RawMail], max_text: int) -> list[dict[str, object]]:
    return [mail_of(raw, max_text=max_text) for raw in islice(raws, MAILS_AT_ONCE)]


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of at most PIECE_BYTES, small chunks joined."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= PIECE_BYTES:
            yield bytes(held[:PIECE_BYTES])
            del held[:PIECE_BYTES]
    if held:
        yield bytes(held)
