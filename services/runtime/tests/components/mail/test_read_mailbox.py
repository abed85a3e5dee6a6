"""mail.read_mailbox: a file becomes a stream of mails, in bounded memory and with progress."""

import asyncio
import gc
import resource
import tracemalloc
from pathlib import Path

import pytest

from polis.runtime.component import StepFailed, implementation
from polis.testing.mailbox import mbox

SMALL = b"".join(mbox(40, attachment_bytes=2_000))


async def read(run, content, *, chunk=64 * 1024, size=True, **more):
    file = {"artifact_id": "f", "name": "box.mbox"} | ({"size": len(content)} if size else {})
    return await run(
        "mail.read_mailbox", ports=[{"mailbox": file}], files={"f": content}, chunk=chunk, **more
    )


async def test_every_mail_is_emitted_in_order_and_then_the_report(run):
    step = await read(run, SMALL)

    mails = step.out("mail")
    assert len(mails) == 40
    assert [mail["message_id"].split("@")[0].split("-")[1] for mail in mails] == [str(n) for n in range(40)]
    assert step.sent[-1][0] == "report"
    assert step.out("report") == [
        {
            "format": "mbox",
            "bytes": len(SMALL),
            "mails": 40,
            "bulk": sum(mail["bulk"] for mail in mails),
            "flagged": sum(bool(mail["problems"]) for mail in mails),
        }
    ]


async def test_the_mails_are_the_same_in_chunks_of_any_size(run):
    whole = (await read(run, SMALL, chunk=10_000_000)).sent

    assert (await read(run, SMALL, chunk=777)).sent == whole


async def test_progress_is_the_share_of_the_file_that_was_read(run):
    step = await read(run, SMALL * 10)

    done = [done for done, _ in step.done]
    assert done == sorted(done)
    assert step.done[-1] == (len(SMALL) * 10, len(SMALL) * 10)
    assert len(done) > 3


async def test_without_a_size_progress_has_no_total(run):
    assert (await read(run, SMALL, size=False)).done[-1] == (len(SMALL), None)


async def test_room_is_asked_for_after_every_few_mails(run):
    rooms = []
    await read(run, SMALL, on_room=lambda: rooms.append(1))

    assert len(rooms) >= 2


async def test_an_empty_file_is_refused_by_its_name(run):
    with pytest.raises(StepFailed, match=r"'box.mbox' is empty \(0 bytes\)"):
        await read(run, b"")


async def test_more_mails_than_allowed_are_an_error(run):
    with pytest.raises(StepFailed, match="more than 5 mails"):
        await read(run, SMALL, max_mails=5)


async def test_a_message_that_names_no_file_is_refused(run):
    with pytest.raises(StepFailed, match="artifact_id") as failure:
        await run("mail.read_mailbox", ports=[{"mailbox": {"name": "x"}}])

    assert failure.value.kind == "input.invalid"


class Sink:
    """A step that forgets what is emitted, and remembers the process's size at each report of progress."""

    config, key = {}, "k"

    def __init__(self, parts) -> None:
        self.parts, self.mails, self.reports = parts, 0, []

    def emit(self, port, value) -> None:
        self.mails += port == "mail"

    async def room(self) -> None: ...

    def progress(self, done, total=None) -> None:
        self.reports.append(resident_bytes())

    async def artifact(self, _):
        for part in self.parts:
            yield part


async def test_memory_does_not_grow_with_the_mailbox():
    """The peak of what Python allocates while it reads some 27 MB that are there before."""
    parts = list(mbox(150, attachment_bytes=2_000_000))
    sink = Sink(parts)
    reading = implementation("mail.read_mailbox").task(sink, {"mailbox": {"artifact_id": "f"}})
    gc.collect()
    tracemalloc.start()
    try:
        await reading
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sink.mails == 150
    assert sum(map(len, parts)) > 20 * 1024 * 1024
    assert peak < 8 * 1024 * 1024


async def test_two_thousand_mails_are_read_with_progress_in_bounded_memory():
    """About 86 MB of mailbox; the process must not grow by half of that at any of the step's reports."""
    sink = Sink(mbox(2_000, attachment_bytes=400_000))
    gc.collect()
    start = resident_bytes()
    await implementation("mail.read_mailbox").task(sink, {"mailbox": {"artifact_id": "f"}})

    assert sink.mails == 2_000
    assert len(sink.reports) > 100
    assert max(sink.reports) - start < 40 * 1024 * 1024


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_the_loop_goes_on_while_mails_are_parsed():
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await implementation("mail.read_mailbox").task(Sink([SMALL] * 5), {"mailbox": {"artifact_id": "f"}})
    ticking.cancel()

    assert ticks > 100
