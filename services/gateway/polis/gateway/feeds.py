"""One topic as it is followed here: its live subject, heard once for all, and its numbers without a gap.

Whoever comes is authorised by the owner of the topic, told a snapshot or what came behind its cursor, and joins those who
hear what follows. What is heard out of order is held for a moment; what is missing then is read from the owner, once for all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from polis.gateway.audience import Audience, Follower
from polis.gateway.slow import Slow
from polis.proto import Refused
from polis.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from uuid import UUID

    from polis.bus import Message
    from polis.bus import Subscription as BusSubscription
    from polis.gateway.audience import Thing, Turn
    from polis.service import Actor, Kernel

    Work = Callable[[], Coroutine[Any, Any, None]]

HOLD_S = 0.05
"""How long what came too early is held before what is missing is read."""
LONGEST_HOLD_S = 2.0
"""The same where reading did not find it: the owner may be away."""
_KEPT = 256
"""Things that were told last, for those who come in the middle of them."""
_EARLY = _PASSING = 1_000
_TRIES = 20


class Feed:
    """Made when the first comes, closed when the last has left. What it is of is its subclasses' part.

    quiet_s: when nothing was heard for so long, it is looked whether something was missed; None: somebody else asks.
    """

    quiet_s: float | None = None

    def __init__(self, kernel: Kernel, turn: Turn, subject: str, on_empty: Callable[[], None]) -> None:
        self.kernel = kernel
        self.subject = subject
        self.followers: set[Follower] = set()
        self.audience = Audience(turn)
        self.last: int | None = None
        self._loop = turn.loop
        self._on_empty = on_empty
        self._subscription: BusSubscription | None = None
        self._subscribing = asyncio.Lock()
        self._early: dict[int, Thing] = {}
        self._recent: deque[Thing] = deque(maxlen=_KEPT)
        self._ahead: set[Follower] = set()
        self._known = 0
        """The highest number that is known to exist."""
        self._hold_s = HOLD_S
        self._timer: asyncio.TimerHandle | None = None
        self._quiet: asyncio.TimerHandle | None = None
        self._filling: asyncio.Task[None] | None = None
        self._heard = self._is_over = False

    # What it is of

    async def read(self, actor: Actor, after: int | None) -> Any:
        """A snapshot, or what came behind a number; it has a `seq`. Refused for who may not see it."""
        raise NotImplementedError

    def things(self, snapshot: Any) -> Sequence[Thing]:
        """What a snapshot behind a number holds, in order."""
        raise NotImplementedError

    def more(self, snapshot: Any) -> bool:
        """Whether there is more to read behind it."""
        raise NotImplementedError

    def over(self, snapshot: Any) -> bool:
        """Whether nothing will follow it."""
        raise NotImplementedError

    def ends(self, thing: Thing) -> bool:
        """Whether nothing will follow this."""
        raise NotImplementedError

    def loses(self, thing: Thing) -> UUID | None:
        """Whose right to follow has to be looked at again behind this."""
        raise NotImplementedError

    def hear(self, message: Message) -> None:
        """What came on the live subject."""
        raise NotImplementedError

    # Coming and going

    def follow(self, follower: Follower, after: int | None) -> None:
        self.followers.add(follower)
        self._start(follower, partial(self._enter, follower, after))

    def leave(self, follower: Follower) -> None:
        """It is told nothing any more."""
        if follower.gone:
            return
        follower.gone = True
        if follower.task is not None:
            follower.task.cancel()
            follower.task = None
        self.audience.remove(follower)
        self._ahead.discard(follower)
        self.followers.discard(follower)
        if not self.followers:
            self._close()

    def _close(self) -> None:
        for timer in (self._timer, self._quiet):
            if timer is not None:
                timer.cancel()
        if self._filling is not None:
            self._filling.cancel()
        if self._subscription is not None:
            self._subscription.unsubscribe()
            self._subscription = None
        self._on_empty()

    async def _listen(self) -> None:
        """Before anything is read: nothing falls between."""
        async with self._subscribing:
            if self._subscription is None:
                self._subscription = await self.kernel.bus.subscribe(self.subject, self.hear)
                self._await_quiet()

    async def _enter(self, follower: Follower, after: int | None) -> None:
        await self._listen()
        snapshot = await self.read(follower.who.actor, after)
        follower.begin(snapshot.seq, snapshot)
        if self.over(snapshot):
            self._end(follower)
        elif self.more(snapshot) or not self._place(follower):
            await self._catch_up(follower)

    async def _catch_up(self, follower: Follower) -> None:
        """Read on from where it is, until it is where all are."""
        for _ in range(_TRIES):
            before = follower.last
            snapshot = await self.read(follower.who.actor, before)
            things = [thing for thing in self.things(snapshot) if thing.seq > before]
            if things:
                follower.tell(things)
            elif snapshot.seq > before:
                break  # too much was missed to tell it one by one
            if self.over(snapshot):
                self._end(follower)
                return
            if not self.more(snapshot) and self._place(follower):
                return
            if follower.last == before:
                await asyncio.sleep(HOLD_S)
        raise Slow

    def _place(self, follower: Follower) -> bool:
        """Let it hear what all hear, if it can be told what lies between."""
        if self.last is None:
            self.last = follower.last
        self._advance()  # before it is one of them: an end, or a lost right, that was heard already is looked at below
        if follower.last > self.last:
            self._ahead.add(follower)
            self._expect(follower.last)
            return True
        missed = [thing for thing in self._recent if thing.seq > follower.last]
        if len(missed) != self.last - follower.last or self._is_lost(follower, missed):
            return False
        if missed:
            follower.tell(missed)
        if self._is_over:
            self._end(follower)
            return True
        follower.pass_on()
        self.audience.add(follower)
        return True

    def _is_lost(self, follower: Follower, things: Sequence[Thing]) -> bool:
        """Whether something that it has not been told yet may have taken its right to follow."""
        principal_id = follower.who.actor.principal_id
        return any(self.loses(thing) == principal_id for thing in things)

    def _end(self, follower: Follower) -> None:
        follower.end()
        follower.task = None
        self.leave(follower)
        follower.who.ended(follower)

    def _start(self, follower: Follower, work: Work) -> None:
        follower.task = self.kernel.tasks.start(self._guarded(follower, work), name=self.subject)

    async def _guarded(self, follower: Follower, work: Work) -> None:
        try:
            await work()  # made no earlier: who leaves before this begins would leave what nobody awaits
        except Exception as error:  # noqa: BLE001 - the last wall of a topic: whoever follows is told
            self._fail(follower, error)
        else:
            follower.task = None

    def _fail(self, follower: Follower, error: Exception) -> None:
        if not follower.gone:
            follower.task = None
            self.leave(follower)
            follower.who.failed(follower, error)

    # Going on

    def pass_by(self, things: Sequence[Thing]) -> None:
        """Tell what is never kept. Who is on the way here is told it on arrival, the first one, too."""
        if self.last is not None:
            self.audience.tell(self.last, things)
        for follower in self.followers:
            if follower.crowd is None:
                follower.passing += things
                del follower.passing[:-_PASSING]

    def told(self, things: Sequence[Thing]) -> None:
        """Take what was heard, or read; never waits."""
        last = self.last
        self._heard = True
        if last is not None and not self._early and _follow(things, last):
            self._go_on(things)
            return
        for thing in things:
            if last is None or thing.seq > last:
                self._early[thing.seq] = thing
        if len(self._early) > _EARLY:
            self._known = max(self._known, *self._early)
            self._early.clear()
        self._advance()

    def _advance(self) -> None:
        """What follows the last without a gap; the rest is held."""
        if self.last is None:
            return
        ready: list[Thing] = []
        number = self.last
        while (thing := self._early.pop(number + 1, None)) is not None:
            ready.append(thing)
            number += 1
        if ready:
            self._go_on(ready)
        if self._early:
            self._early = {seq: thing for seq, thing in self._early.items() if seq > number}
        if self._early:
            self._expect(max(self._early))

    def _go_on(self, things: Sequence[Thing]) -> None:
        for at, thing in enumerate(things, 1):
            if (principal_id := self.loses(thing)) is not None:
                self._tell(things[:at])
                self.doubt(principal_id)
                if things[at:]:
                    self._go_on(things[at:])
                return
        self._tell(things)

    def _tell(self, things: Sequence[Thing]) -> None:
        self.last = last = things[-1].seq
        self._recent.extend(things)
        self._hold_s = HOLD_S
        self.audience.tell(last, things)
        for follower in [each for each in self._ahead if each.last <= last]:
            self._ahead.discard(follower)
            if missed := [thing for thing in things if thing.seq > follower.last]:
                follower.tell(missed)
            follower.pass_on()
            self.audience.add(follower)
        if self.ends(things[-1]):
            self._finish()

    def _finish(self) -> None:
        self._is_over = True
        for follower in [each for each in self.followers if each.task is None]:
            self._out(follower)
            self._end(follower)  # who is on the way here comes to the end by itself

    def doubt(self, principal_id: UUID) -> None:
        """Somebody may have lost the right to follow: they are told nothing more until the owner says that they may."""
        for follower in list(self.followers):
            if follower.task is None and follower.who.actor.principal_id == principal_id:
                self._out(follower)
                self._start(follower, partial(self._catch_up, follower))

    def _out(self, follower: Follower) -> None:
        if follower.crowd is not None and self.last is not None:
            follower.last = self.last
        self.audience.remove(follower)
        self._ahead.discard(follower)

    # What is missing

    def _expect(self, number: int) -> None:
        """So much exists: if it is not heard in a moment, it is read."""
        self._known = max(self._known, number)
        if self._timer is None and self.last is not None and self._known > self.last:
            self._timer = self._loop.call_later(self._hold_s, self._overdue)

    def learn(self, number: int) -> None:
        """The owner says that so much exists."""
        if self.last is not None:
            self._expect(number)

    def _overdue(self) -> None:
        self._timer = None
        if self.last is not None and self._known > self.last:
            self._look()

    def _look(self) -> None:
        if self._filling is None and self.last is not None:
            self._filling = self.kernel.tasks.start(self._fill(), name=self.subject)

    async def _fill(self) -> None:
        """Read what is missing, by the right of one who follows."""
        try:
            for follower in list(self.followers):
                if follower.task is None and not await self._fill_by(follower):
                    continue
                break
        finally:
            self._filling = None
        self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S)
        self._expect(self._known)

    async def _fill_by(self, follower: Follower) -> bool:
        """Whether this one may see it."""
        after = self.last
        try:
            snapshot = await self.read(follower.who.actor, after)
        except Refused as refusal:
            if refusal.problem.retryable:
                log.warning("feed.unread", subject=self.subject, problem=refusal.problem.type)
                return True
            self._fail(follower, refusal)
            return False
        things = self.things(snapshot)
        if things:
            self.told(things)
        elif after is not None and snapshot.seq > after == self.last:
            for each in list(self.followers):
                self._fail(each, Slow())
        if self.more(snapshot):
            self._known = max(self._known, snapshot.seq + 1)
        elif self.over(snapshot) and self.last == snapshot.seq:
            self._finish()  # whatever its last change looked like
        return True

    def _await_quiet(self) -> None:
        if self.quiet_s is not None:
            if self._quiet is not None:
                self._quiet.cancel()
            self._quiet = self._loop.call_later(self.quiet_s, self._was_quiet)

    def _was_quiet(self) -> None:
        if not self._heard:
            self._look()
        self._heard = False
        self._await_quiet()


def _follow(things: Sequence[Thing], last: int) -> bool:
    """Whether they are the next ones, without a gap."""
    return things[0].seq == last + 1 and things[-1].seq == last + len(things)
