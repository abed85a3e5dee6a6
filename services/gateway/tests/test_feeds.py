"""A topic that many follow: numbers without a gap whatever order they are heard in, one reading for all, one write a turn."""

from __future__ import annotations

import asyncio
import gc
import warnings
from types import SimpleNamespace
from uuid import UUID

import msgspec
import pytest

from polis.gateway import feeds
from polis.gateway.audience import CROWD, Follower, Turn
from polis.gateway.feeds import Feed
from polis.gateway.slow import Slow
from polis.proto import Refused
from polis.proto.problems import Forbidden, Unavailable
from polis.service.tasks import Tasks
from polis.testing import eventually

ADA, TOM = UUID(int=1), UUID(int=2)


class Said(msgspec.Struct, frozen=True):
    """Something with a number; `of` loses the right to follow by it."""

    seq: int
    of: UUID | None = None
    last: bool = False


class Read(msgspec.Struct, frozen=True):
    """What the owner answers."""

    seq: int
    things: list[Said]
    more: bool = False


class Notes(Feed):
    """A topic whose owner is the test. `kept` is what it has; page: so much of it in one answer."""

    page = 100

    def __init__(self, turn: Turn, tasks: Tasks) -> None:
        bus = SimpleNamespace(subscribe=self.subscribe)
        super().__init__(SimpleNamespace(bus=bus, tasks=tasks), turn, "notes", self.empty)  # type: ignore[arg-type]
        self.kept: list[Said] = []
        self.reads: list[int | None] = []
        self.refused: dict[UUID, Exception] = {}
        self.is_empty = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def subscribe(self, subject, hear):
        assert (subject, hear) == ("notes", self.hear)
        return SimpleNamespace(unsubscribe=lambda: None)

    def empty(self) -> None:
        self.is_empty = True

    async def read(self, actor, after):
        self.reads.append(after)
        found = self.kept[after or 0 :][: self.page] if after is not None else []
        head, refused = len(self.kept), self.refused.get(actor.principal_id)
        await self.gate.wait()
        if refused is not None:
            raise refused
        seq = found[-1].seq if found else head
        return Read(seq, found, more=seq < head)

    def things(self, snapshot):
        return snapshot.things

    def more(self, snapshot):
        return snapshot.more

    def over(self, snapshot):
        return bool(self.kept) and snapshot.seq == len(self.kept) and self.kept[-1].last

    def ends(self, thing):
        return thing.last

    def loses(self, thing):
        return thing.of

    def say(self, *of: UUID | None, last: bool = False) -> list[Said]:
        """Keep so many more; they are not heard by that."""
        start = len(self.kept) + 1
        said = [Said(start + n, each, last=last) for n, each in enumerate(of)]
        self.kept += said
        return said


class Plain:
    """A view that shows its words."""

    def snapshot(self, topic, seq, data):
        return b"[%d %d]" % (seq, len(data.things))

    def events(self, topic, seq, things):
        return b"".join(b"<%d>" % thing.seq for thing in things)

    def end(self, topic, seq):
        return b"(end %d)" % seq


PLAIN = Plain()


class Client:
    """Who follows, and what they were told: `words`, in so many writes."""

    def __init__(self, principal_id: UUID = ADA) -> None:
        self.actor = SimpleNamespace(principal_id=principal_id)
        self.follower = Follower(self, self, "notes", PLAIN)
        self.words = b""
        self.writes = 0
        self.error: Exception | None = None
        self.has_ended = False

    def write(self, data: bytes, /) -> None:
        self.words += data
        self.writes += 1

    def line(self) -> None:
        """It has no socket."""

    def ended(self, follower) -> None:
        assert follower is self.follower
        self.has_ended = True

    def failed(self, follower, error) -> None:
        assert follower is self.follower
        self.error = error


@pytest.fixture
async def notes(monkeypatch):
    monkeypatch.setattr(feeds, "HOLD_S", 0.01)
    async with Tasks() as tasks:
        yield Notes(Turn(asyncio.get_running_loop()), tasks)


async def come(notes, principal_id=ADA, after=None):
    client = Client(principal_id)
    notes.follow(client.follower, after)
    await eventually(lambda: client.follower.crowd or client.error or client.has_ended)
    return client


async def test_what_one_turn_tells_is_one_write_to_each_and_all_see_the_same(notes):
    clients = [await come(notes) for _ in range(3)]
    for said in notes.say(*(None,) * 5):
        notes.told([said])
    notes.pass_by([Said(5)])

    await eventually(lambda: all(client.writes == 2 for client in clients))
    assert {client.words for client in clients} == {b"[0 0]<1><2><3><4><5><5>"}


async def test_who_comes_behind_a_cursor_is_told_what_came_since_and_what_follows(notes):
    first = await come(notes)
    notes.told(notes.say(*(None,) * 300))

    second = await come(notes, after=40)
    notes.told(notes.say(None))

    await eventually(lambda: second.words.endswith(b"<301>"))
    assert second.words == b"[140 100]" + b"".join(b"<%d>" % n for n in range(141, 302))
    assert first.words == b"[0 0]" + b"".join(b"<%d>" % n for n in range(1, 302))


async def test_what_is_heard_out_of_order_is_told_in_order_without_reading(notes):
    client = await come(notes)
    one, two, three, four = notes.say(None, None, None, None)
    for said in (two, four, three, two, one, three):
        notes.told([said])

    await eventually(lambda: client.words == b"[0 0]<1><2><3><4>")
    assert notes.reads == [None]


async def test_what_is_never_heard_is_read_once_for_all(notes):
    clients = [await come(notes) for _ in range(3)]
    notes.reads.clear()
    *_, last = notes.say(*(None,) * 250)
    notes.told([last])

    await eventually(lambda: all(client.words.endswith(b"<250>") for client in clients))
    assert {client.words for client in clients} == {b"[0 0]" + b"".join(b"<%d>" % n for n in range(1, 251))}
    assert notes.reads == [0, 100, 200]


async def test_a_lost_last_one_is_read_when_the_owner_tells_how_far_it_is(notes):
    client = await come(notes)
    notes.say(None)

    notes.learn(1)

    await eventually(lambda: client.words == b"[0 0]<1>")


async def test_an_owner_that_is_away_is_asked_again_and_nobody_is_dropped(notes):
    client = await come(notes)
    notes.say(None)
    notes.refused[ADA] = Refused(Unavailable(dependency="notes"))
    notes.learn(1)
    await eventually(lambda: len(notes.reads) >= 3)

    notes.refused.clear()

    await eventually(lambda: client.words == b"[0 0]<1>")


async def test_who_comes_while_much_is_said_misses_nothing_and_hears_nothing_twice(notes):
    first = await come(notes)
    late = [Client() for _ in range(3)]
    notes.gate.clear()
    for client in late:
        notes.told(notes.say(None))
        notes.follow(client.follower, 0)
        await asyncio.sleep(0)
        notes.pass_by([Said(len(notes.kept))])
        notes.told(notes.say(None))
    held = notes.say(None)  # the owner has it, and its word is on the way
    behind = Client()
    notes.follow(behind.follower, 0)
    await eventually(lambda: len(notes.reads) == 5)
    notes.gate.set()
    await eventually(lambda: behind.words)
    notes.told(held)
    notes.told(notes.say(None))

    await eventually(lambda: all(c.follower.crowd and c.words.endswith(b"<8>") for c in (*late, behind)))
    assert first.words.endswith(b"<8>")
    for client in (*late, behind):
        start = int(client.words[1:].split(b" ")[0])
        told = [int(word[1:]) for word in client.words.partition(b"]")[2].split(b">")[:-1]]
        numbered = sorted({n for n in told if n > start})
        assert numbered == list(range(start + 1, 9))


async def test_who_loses_the_right_is_told_so_up_to_there_and_nothing_more(notes):
    ada, tom = await come(notes), await come(notes, TOM)
    notes.refused[TOM] = Refused(Forbidden(scope="notes"))

    notes.told(notes.say(None, TOM, None))

    await eventually(lambda: tom.error is notes.refused[TOM])
    await eventually(lambda: ada.words == b"[0 0]<1><2><3>")
    assert tom.words == b"[0 0]<1><2>"


async def test_who_may_still_follow_goes_on_where_they_were(notes):
    ada = await come(notes)
    notes.told(notes.say(None, ADA, None))
    notes.told(notes.say(None))

    await eventually(lambda: ada.words == b"[0 0]<1><2><3><4>")


async def test_at_the_end_all_are_told_so_and_the_topic_is_let_go(notes):
    clients = [await come(notes) for _ in range(2)]

    notes.told(notes.say(None, last=True))

    assert {client.words for client in clients} == {b"[0 0]<1>(end 1)"}
    assert all(client.has_ended for client in clients)
    assert notes.is_empty


async def test_who_is_on_the_way_when_it_ends_is_told_all_of_it_before_the_end(notes):
    first, late = await come(notes), Client()
    notes.told(notes.say(None))
    notes.gate.clear()
    notes.follow(late.follower, 0)
    await eventually(lambda: notes.reads[-1] == 0)

    notes.told(notes.say(None))
    notes.told(notes.say(None, last=True))
    assert late.words == b""
    notes.gate.set()

    await eventually(lambda: late.has_ended)
    assert late.words == b"[1 1]<2><3>(end 3)"
    assert first.words == b"[0 0]<1><2><3>(end 3)"
    assert notes.is_empty


async def test_who_comes_first_is_told_the_end_that_was_heard_before_what_was_read_had_come(notes):
    notes.say(None)
    notes.gate.clear()
    client = Client()
    notes.follow(client.follower, None)
    await eventually(lambda: notes.reads)

    notes.told(notes.say(None))
    notes.told(notes.say(None, last=True))
    notes.gate.set()

    await eventually(lambda: client.has_ended)
    assert client.words == b"[1 0]<2><3>(end 3)"
    assert notes.is_empty


async def test_who_comes_first_and_lost_the_right_meanwhile_is_told_nothing_behind_that(notes):
    notes.say(None)
    notes.gate.clear()
    tom = Client(TOM)
    notes.follow(tom.follower, None)
    await eventually(lambda: notes.reads)

    notes.told(notes.say(TOM, None))
    notes.refused[TOM] = Refused(Forbidden(scope="notes"))
    notes.gate.set()

    await eventually(lambda: tom.error is notes.refused[TOM])
    assert tom.words == b"[1 0]"


async def test_an_end_that_no_change_tells_of_is_one_when_the_owner_says_so(notes):
    client = await come(notes)
    notes.quiet_s = 0.01
    notes.over = lambda snapshot: snapshot.seq == 1
    notes.told(notes.say(None))

    notes._await_quiet()

    await eventually(lambda: client.has_ended)
    assert client.words == b"[0 0]<1>(end 1)"


async def test_a_gap_that_cannot_be_told_one_by_one_is_too_much(notes):
    client = await come(notes)
    notes.kept = [Said(n) for n in range(1, 4)]
    notes.page = 0
    notes.learn(3)

    await eventually(lambda: isinstance(client.error, Slow))


async def test_a_large_crowd_is_written_to_in_several_turns_and_each_hears_all(notes):
    clients = [Client() for _ in range(CROWD + 10)]
    for client in clients:
        notes.follow(client.follower, None)
    await eventually(lambda: all(client.follower.crowd for client in clients), within_s=5)

    for said in notes.say(None, None, None):
        notes.told([said])
        await asyncio.sleep(0)

    await eventually(lambda: {client.words for client in clients} == {b"[0 0]<1><2><3>"})


async def test_who_leaves_hears_nothing_more_and_the_last_closes_the_topic(notes):
    first, second = await come(notes), await come(notes)
    notes.leave(first.follower)
    notes.leave(first.follower)
    notes.told(notes.say(None))
    await eventually(lambda: second.words == b"[0 0]<1>")
    assert first.words == b"[0 0]"
    assert not notes.is_empty

    notes.leave(second.follower)

    assert notes.is_empty


async def test_who_leaves_in_the_moment_in_which_they_came_leaves_nothing_undone(notes):
    client = Client()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        notes.follow(client.follower, None)
        task = client.follower.task
        notes.leave(client.follower)
        await asyncio.wait((task,))
        del task
        gc.collect()

    assert not warned
    assert notes.is_empty
    assert notes.reads == []


async def test_who_comes_first_is_told_what_is_never_kept_and_passed_while_it_was_on_the_way(notes):
    notes.say(None, None)
    notes.gate.clear()
    client = Client()
    notes.follow(client.follower, None)
    await eventually(lambda: notes.reads)

    notes.pass_by([Said(0)])
    notes.gate.set()

    await eventually(lambda: client.words == b"[2 0]<2>")
