"""People of one org who use every part of a mesh in turn, at a modest pace, through its gateway, and clean up what they can.

What a restart may cost is counted and passed over; every other refusal is kept in `refused`, by what was done.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

from polis.client import Polis, Problem
from polis.proto import catalog, gateway, identity, messaging, runtime
from polis.proto.messaging import control
from polis.testing import eventually
from tests.chaos.watchers import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from random import Random
    from uuid import UUID

PASSWORD = "correct horse battery"
TOKEN_S = 300.0
"""After so long a session is refreshed: well before its token ends."""
ENDS_S = 60.0
KEPT_BYTES = 2_000_000
"""Of runs: so little that retention is seen at work."""
_FILE = bytes(range(256)) * 256
_LATER = (aiohttp.ClientError, TimeoutError, OSError)
_CHILD = {
    "nodes": {"pass": {"component": "map", "config": {"expression": "item"}}},
    "inputs": {"value": {"target": "pass.in"}},
    "outputs": {"value": {"source": "pass.out"}},
    "triggers": {
        "posted": {"on": {"kind": "webhook"}, "into": "value"},
        "tick": {"on": {"kind": "schedule", "every_s": 5}, "input": {"value": 1}},
    },
}
_ROUND = {
    "nodes": {
        "split": {"component": "each", "config": {"expression": "item + index"}},
        "rest": {"component": "wait", "config": {"seconds": 0.5}},
        "child": {"component": "run", "config": {"graph": "soak.child", "expression": '{"value": item}'}},
        "ask": {
            "component": "ask",
            "config": {"kind": "approval", "title": "May I?", "to": [{"starter": True}]},
        },
        "told": {"component": "signal", "config": {"name": "go_on"}},
        "note": {"component": "log", "config": {"message": "done"}},
    },
    "edges": [
        {"source": "split.out", "target": "rest.in"},
        {"source": "rest.out", "target": "child.in"},
        {"source": "child.out", "target": "ask.in"},
        {"source": "ask.out", "target": "told.in"},
        {"source": "told.out", "target": "note.in"},
    ],
    "inputs": {"value": {"target": "split.in"}},
    "outputs": {"value": {"source": "note.out"}},
}


class Person:
    """Somebody who is signed in, and stays it by refreshing."""

    def __init__(self, email: str, session: identity.Session) -> None:
        self.email = email
        self.id = session.me.principal.id
        self._session = session
        self._at = time.monotonic()
        self._turn = asyncio.Lock()
        self.polis: Polis

    async def token(self, renew: bool = False) -> str:
        async with self._turn:
            if renew or time.monotonic() - self._at > TOKEN_S:
                async with Polis(self.polis.address) as anybody:
                    self._session = await self._renewed(anybody)
                self._at = time.monotonic()
        return self._session.access_token

    async def _renewed(self, anybody: Polis) -> identity.Session:
        try:
            return await anybody.call(identity.Refresh(self._session.refresh_token))
        except Problem:  # the answer to an earlier one was lost
            return await anybody.call(identity.SignIn(self.email, PASSWORD))


class Place(NamedTuple):
    """What they share: made once."""

    room: UUID
    echo: UUID
    hook: str
    hook_token: str


class Dwellers:
    """Everybody, and what came of it. addresses: those of the gateways that are there now, the steady one first."""

    def __init__(
        self, addresses: Callable[[], list[str]], dice: Random, *, people: int, pause_s: float
    ) -> None:
        self._addresses = addresses
        self._dice = dice
        self._count = people
        self._pause_s = pause_s
        self._people: list[Person] = []
        self._place: Place
        self._numbers = 0
        self.ended = asyncio.Event()
        self.done: Counter[str] = Counter()
        self.later: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._acts = (
            *(self._sign_in_and_out, self._keys_and_agents, self._resources, self._files),
            *(self._run, self._cancelled_run, self._hooked, self._talk, self._streamed, self._echoed),
            *(self._group, self._followed),
        )
        self.acts = {act.__name__.strip("_") for act in (*self._acts, self._watch)}

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    # Before and after

    async def settle(self) -> None:
        """Sign up, and make what is shared."""
        address = self._addresses()[0]
        async with Polis(address) as anybody:
            signed = await anybody.call(identity.SignUp("owner@example.org", PASSWORD, "Owner"))
            self._people.append(Person("owner@example.org", signed))
            async with Polis(address, self._people[0].token) as owner:
                for number in range(1, self._count):
                    email = f"member-{number}@example.org"
                    invited = await owner.call(identity.InviteMember(email))
                    token, name = invited.token, f"Member {number}"
                    signed = await anybody.call(identity.SignUp(email, PASSWORD, name, invitation=token))
                    self._people.append(Person(email, signed))
                self._place = await self._made(owner)

    async def _made(self, owner: Polis) -> Place:
        others = tuple(each.id for each in self._people[1:])
        room = await owner.call(messaging.CreateConversation(kind="group", name="Soak", participants=others))
        echo = await owner.call(runtime.InstallAssistant("echo"))
        talk = await owner.call(messaging.OpenDirect(echo.agent_id))
        await self._graph(owner, "soak.child", _CHILD)
        await self._graph(owner, "soak.round", _ROUND)
        await owner.call(runtime.SetRunRetention(bytes=KEPT_BYTES))

        async def hook() -> runtime.Trigger | None:
            found = await owner.call(runtime.ListTriggers(graph="soak.child", kind="webhook"))
            return found.items[0] if found.items else None

        posted = await eventually(hook, within_s=20)
        token = await owner.call(runtime.RotateHookToken(posted.id))
        assert posted.hook is not None
        return Place(room.id, talk.id, posted.hook, token.token)

    async def _graph(self, owner: Polis, key: str, content: dict[str, Any]) -> None:
        made = await owner.call(catalog.CreateResource(type="graph", key=key, content=content))
        await owner.call(catalog.PublishVersion(made.id))
        await owner.call(catalog.Activate(made.id, "production", 1))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """For as long as the block lasts; then everybody comes to the end of what they do, and closes what they have open."""
        self.ended.clear()
        async with AsyncExitStack() as stack:
            for person in self._people:
                person.polis = await stack.enter_async_context(Polis(self._addresses()[0], person.token))
            async with asyncio.TaskGroup() as group:
                for number, act in enumerate(self._acts):
                    group.create_task(self._again_and_again(act, number))
                for number in range(2 * self._count):
                    group.create_task(self._watch(number))
                try:
                    yield
                finally:
                    self.ended.set()

    async def _again_and_again(self, act: Callable[[Person], Awaitable[None]], number: int) -> None:
        while not self.ended.is_set():
            person = self._people[(number + self._next()) % len(self._people)]
            await self._one(act, person)
            await self._rest(self._pause_s * self._dice.uniform(0.5, 1.5))

    async def _one(self, act: Callable[[Person], Awaitable[None]], person: Person) -> None:
        name = act.__name__.strip("_")
        try:
            await act(person)
        except Problem as problem:
            passing = problem.status in (0, 408, 429, 502, 503, 504)  # 0: it was not reached
            (self.later if passing else self.refused)[f"{name}: {problem.status} {problem}"] += 1
        except _LATER as error:
            self.later[f"{name}: {type(error).__name__}"] += 1
        except Exception as error:  # noqa: BLE001 - told at the end, whatever it is
            self.refused[f"{name}: {error!r}"] += 1
        else:
            self.done[name] += 1

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            pass

    # What they do

    async def _sign_in_and_out(self, person: Person) -> None:
        async with Polis(person.polis.address) as anybody:
            session = await anybody.call(identity.SignIn(person.email, PASSWORD))
            anybody.token = session.access_token
            await anybody.call(identity.GetMe())
            session = await anybody.call(identity.Refresh(session.refresh_token))
            anybody.token = session.access_token
            await anybody.call(identity.ListSessions())
            await anybody.call(identity.SignOut())

    async def _keys_and_agents(self, _: Person) -> None:
        owner = self._people[0].polis
        name = f"a{self._next()}"
        made = await owner.call(identity.CreateKey(name, scopes=("identity:read",)))
        async with Polis(owner.address, made.secret) as holder:
            await holder.call(identity.GetMe())
        await owner.call(identity.RevokeKey(made.key.id))
        agent = await owner.call(identity.CreateAgent(name, "Agent"))
        async with Polis(owner.address) as anybody:
            token = await anybody.call(identity.SignInClient(agent.client_id, agent.client_secret))
            anybody.token = token.access_token
            await anybody.call(messaging.ListConversations())
        await owner.call(identity.DeleteAgent(name))

    async def _resources(self, person: Person) -> None:
        call = person.polis.call
        key = f"thing.k{self._next()}"
        made = await call(catalog.CreateResource(type="context", key=key, content={"text": key}))
        await call(catalog.PutDraft(made.id, 1, {"text": "changed"}))
        for read in (
            catalog.GetResource(made.id),
            catalog.ListResources(),
            catalog.SearchResources(text="thing"),
        ):
            await call(read)
        await call(catalog.ResolveResource("graph", "soak.child"))
        await call(catalog.DeleteResource(made.id))

    async def _files(self, person: Person) -> None:
        call = person.polis.call
        content = self._next().to_bytes(8, "big") + _FILE
        upload = await call(catalog.CreateUpload("file", len(content)))
        await call(catalog.PutPart(upload.id, 0, content))
        artifact = await call(catalog.CompleteUpload(upload.id))
        assert await call(catalog.DownloadArtifact(artifact.id)) == content
        await call(catalog.DeleteArtifact(artifact.id))
        second = await call(gateway.UploadArtifact(name="other", content=content[:100]))
        await call(catalog.DeleteArtifact(second.id))
        upload = await call(catalog.CreateUpload("broken off", 10))
        await call(catalog.CancelUpload(upload.id))

    async def _run(self, person: Person) -> None:
        """A run with a wait, runs of its own, an ask and a signal, which is followed to its end."""
        polis = person.polis
        run = await polis.call(runtime.StartRun("soak.round", {"value": [1, 2]}))
        waited: set[str] = set()
        async with (
            asyncio.timeout(ENDS_S),
            aclosing(polis.follow(f"run/{run.id}", after=0)) as changes,
        ):
            async for change in changes:
                step = change.data.get("step") or {}
                if step.get("state") == "waiting" and step["node"] not in waited:
                    waited.add(step["node"])
                    await self._go_on(polis, run.id, step["node"])
        await polis.call(runtime.GetOutput(run.id))
        await polis.call(runtime.GetTimeline(run.id))
        await polis.call(runtime.ListRuns())

    async def _go_on(self, polis: Polis, run_id: UUID, node: str) -> None:
        """Give a run what it waits for, if that is ours to give."""
        if node == "ask":
            ask = await eventually(lambda: self._asked(polis, run_id), within_s=ENDS_S)
            await polis.answer(ask.id, "approve")
        elif node == "told":
            await polis.signal(run_id, "go_on")

    async def _asked(self, polis: Polis, run_id: UUID) -> runtime.Ask | None:
        return next(iter((await polis.call(runtime.ListAsks(run_id=run_id))).items), None)

    async def _cancelled_run(self, person: Person) -> None:
        run = await person.polis.call(runtime.StartRun("soak.round", {"value": [1]}))
        await self._rest(0.2)
        await person.polis.call(runtime.CancelRun(run.id))

    async def _hooked(self, person: Person) -> None:
        address = person.polis.address
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                address + self._place.hook, data=b"1", headers={"X-Hook-Token": self._place.hook_token}
            ) as answer,
        ):
            if answer.status != 200:
                raise Problem({"status": answer.status, "title": await answer.text()})

    async def _talk(self, person: Person) -> None:
        polis, room = person.polis, self._place.room
        await polis.typing(room)
        await polis.say(messaging.SayPresence("online"))
        posted = await polis.post(room, f"Hello {self._next()}")
        await polis.read(room, posted.seq)
        await polis.call(messaging.EditMessage(room, posted.seq, text="Hello again"))
        await polis.call(messaging.ReactToMessage(room, posted.seq, "ok"))
        for read in (
            messaging.ListMessages(room, limit=20),
            messaging.ListConversations(),
            messaging.SearchMessages("again"),
            messaging.ListPresence(room),
            messaging.PullMissed(),
        ):
            await polis.call(read)
        await polis.call(messaging.KeepMessageDraft(room, "And"))
        await polis.call(messaging.DropMessageDraft(room))
        await polis.call(messaging.DeleteMessage(room, posted.seq))

    async def _streamed(self, person: Person) -> None:
        """Two streams: one that is paused, goes on and ends, and one that is given up."""
        call, room = person.polis.call, self._place.room
        begun = await call(messaging.BeginStream(room, f"s{self._next()}"))
        told = await call(messaging.ContinueStream(begun.stream_id, 0, "Once upon a time "))
        await call(messaging.ControlConversation(room, control.PauseControl(), begun.stream_id))
        await call(messaging.ControlConversation(room, control.ResumeControl(), begun.stream_id))
        told = await call(messaging.ContinueStream(begun.stream_id, told.at, "there was a mesh."))
        await call(messaging.EndStream(begun.stream_id, told.at))
        begun = await call(messaging.BeginStream(room, f"s{self._next()}"))
        await call(messaging.ContinueStream(begun.stream_id, 0, "Never mind"))
        await call(messaging.AbandonStream(begun.stream_id))

    async def _echoed(self, _: Person) -> None:
        """Say something to an agent, whose run answers as a stream."""
        await self._people[0].polis.post(self._place.echo, f"Is anybody there? {self._next()}")

    async def _group(self, person: Person) -> None:
        """A conversation that somebody comes into, and is put out of again; it ends archived."""
        call = person.polis.call
        other = next(each for each in self._people if each is not person)
        made = await call(messaging.CreateConversation(kind="group", name="Short"))
        await call(messaging.AddParticipant(made.id, other.id))
        await other.polis.post(made.id, "Here I am")
        await call(messaging.RemoveParticipant(made.id, other.id))
        await call(messaging.ChangeConversation(made.id, archived=True))

    async def _followed(self, person: Person) -> None:
        """Follow a conversation and the org over the socket that a client shares, and leave both."""
        polis = person.polis
        for topic in (f"conversation/{self._place.room}", "org"):
            async with aclosing(polis.follow(topic)) as changes:
                assert (await anext(changes)).kind == "snapshot"

    async def _watch(self, number: int) -> None:
        """Come to a gateway, follow some topics, go or be cut, and come back with what was seen last."""
        watcher = Watcher(self._place.room, self._dice, sse=number % 4 == 3)
        person = self._people[number % len(self._people)]
        while not self.ended.is_set():
            address = self._dice.choice(self._addresses())

            async def watch(person: Person, address: str = address) -> None:
                seconds = self._pause_s * self._dice.uniform(1, 10)
                await watcher.watch(address, await person.token(), seconds, self.ended)

            await self._one(watch, person)
            await self._rest(self._pause_s * self._dice.uniform(0.1, 0.5))
