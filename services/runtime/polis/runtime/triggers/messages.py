"""What is said to agents: whom a message is for is asked of messaging, what it says is read with the agent's own rights."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused, messaging
from polis.proto.problems import Unauthenticated
from polis.proto.trigger import OnMessage
from polis.runtime.component import StepFailed
from polis.runtime.components.expressions import compiled
from polis.runtime.triggers import talks, turns
from polis.runtime.triggers.firing import passes, told
from polis.runtime.triggers.marks import Occasion
from polis.runtime.triggers.rows import Armed
from polis.runtime.triggers.talks import Held, Talks
from polis.runtime.triggers.turns import Turn, Turns

if TYPE_CHECKING:
    from polis.proto.identity import PrincipalKind
    from polis.proto.messaging import Message
    from polis.runtime.shell.executor import Executor
    from polis.runtime.triggers.firing import Firing
    from polis.runtime.triggers.following import Followed
    from polis.service import Kernel

LATE_S = 60.0
"""A message that nobody took for so long was missed."""
_SETTLE_S = 1.0
"""Of messages that were missed, the last one is answered when no other has come for so long."""
_SCOPES = ("messaging:read",)
_GONE = (messaging.MessageNotFound, messaging.ConversationNotFound)
_TOLD = ("conversation_id", "seq", "sender_id", "sent_at", "text", "parts", "reply_to", "thread", "mentions", "attributes")  # fmt: skip


class _Said(Struct, frozen=True):
    """A message to the agent of a trigger. depth: the messages of agents in a row that it is the last of."""

    trigger: Armed
    sender_kind: PrincipalKind
    conversation_id: UUID
    seq: int
    depth: int = 0
    event_seq: int = 0

    @property
    def occasion(self) -> Occasion:
        return Occasion(f"{self.conversation_id}/{self.seq}", depth=self.depth or None)


class Messages:
    """Fires triggers for messages to their agents."""

    def __init__(self, kernel: Kernel, executor: Executor, firing: Firing) -> None:
        self._kernel = kernel
        self._database = kernel.database
        self._tokens = executor.reaching.tokens
        self._firing = firing
        self.talks = Talks(kernel.database, self._fire_held)
        self.turns = Turns(kernel, executor, self._fire_turn)

    async def fire(self, event: Followed, armed: Sequence[Armed]) -> None:
        """Fire what answers the message of an event. What goes wrong with one is raised behind the others."""
        conversation_id, seq = UUID(str(event.data["conversation_id"])), int(str(event.data["seq"]))
        to = await self._addressed(event.org_id, conversation_id, seq)
        failures: list[Exception] = []
        for trigger in armed:
            if trigger.acts_as in to.principal_ids:
                try:
                    said = _Said(trigger, to.sender_kind, conversation_id, seq, event_seq=event.seq)
                    await self._hear(said, _age_s(event.time))
                except Exception as error:  # noqa: BLE001 - raised below
                    failures.append(error)
        if failures:
            raise failures[0]

    async def _fire_held(self, held: Held) -> None:
        to = await self._addressed(held.org_id, held.conversation_id, held.seq)
        if held.acts_as in to.principal_ids:
            await self._queue(_Said(held, to.sender_kind, held.conversation_id, held.seq, held.depth))

    async def _fire_turn(self, turn: Turn, seq: int) -> UUID | None:
        """What has its turn: the run that answers it, if one does."""
        to = await self._addressed(turn.org_id, turn.conversation_id, seq)
        if turn.acts_as not in to.principal_ids:
            return None
        return await self._answer(_Said(turn, to.sender_kind, turn.conversation_id, seq, turn.depth or 0))

    async def _addressed(self, org_id: UUID, conversation_id: UUID, seq: int) -> messaging.Addressed:
        request = messaging.GetAddressed(org_id, conversation_id, seq)
        return await self._kernel.caller.call(request, token=await self._kernel.keys.own_token())

    async def _hear(self, said: _Said, age_s: float) -> None:
        on, person = said.trigger.on.on, said.sender_kind == "user"
        if not isinstance(on, OnMessage) or not (person or on.agents):
            return
        missed = age_s > LATE_S
        if missed and on.missed == "skip":
            why = f"nobody was there for {age_s:.0f} s"
            await self._firing.skip(said.trigger, said.occasion, "trigger.missed", why)
            return
        if on.agents:
            said = await self._counted(said, person=person)
        silence_s = on.debounce_s or (_SETTLE_S if missed and on.missed == "once" else None)
        if silence_s is None:
            await self._queue(said)
        elif not on.condition or await self._value(said) is not None:
            await self._hold(said, silence_s)

    async def _counted(self, said: _Said, *, person: bool) -> _Said:
        async with self._database.transaction([said.trigger.org_id]) as tx:
            depth = await talks.follow(tx, said.trigger, said.conversation_id, said.seq, person=person)
        return msgspec.structs.replace(said, depth=depth)

    async def _hold(self, said: _Said, silence_s: float) -> None:
        async with self._database.transaction([said.trigger.org_id]) as tx:
            await talks.hold(tx, said.trigger, said.conversation_id, said.seq, seconds=silence_s)
            tx.after_commit(self.talks.wake.set)

    async def _queue(self, said: _Said) -> None:
        """Answer it when what was said before is answered; or now, where the trigger says so."""
        on = said.trigger.on.on
        if isinstance(on, OnMessage) and on.concurrent:
            await self._answer(said)
            return
        where = said.trigger, said.conversation_id, said.seq
        async with self._database.transaction([said.trigger.org_id]) as tx:
            room = await turns.wait(tx, *where, event_seq=said.event_seq, depth=said.depth)
            tx.after_commit(self.turns.wake.set)
        if not room:
            why = f"{turns.MOST_WAITING} messages of the conversation wait"
            await self._firing.refuse(said.trigger, said.occasion, "trigger.too_many", why)

    async def _answer(self, said: _Said) -> UUID | None:
        value = await self._value(said)
        if value is None:
            return None
        return await self._firing.fire(said.trigger, msgspec.structs.replace(said.occasion, value=value))

    async def _value(self, said: _Said) -> dict[str, object] | None:
        """What a run is started with; None when none is to be. Refused when it may go better later."""
        try:
            message = await self._message(said)
            if message.deleted_at is None:
                value = {**_told(message), "sender_kind": said.sender_kind}
                return value if _wanted(said.trigger, value) else None
        except StepFailed as failure:
            await self._firing.skip(said.trigger, said.occasion, failure.kind, str(failure))
        except Refused as refusal:
            if passes(refusal):
                raise
            if not isinstance(refusal.problem, _GONE):
                why = refusal.problem.type, told(refusal)
                await self._firing.refuse(said.trigger, said.occasion, *why)
        return None

    async def _message(self, said: _Said) -> Message:
        """As its agent may read it now. A token may have ended before its time, as when a role changes: then by another one."""
        org_id, agent_id = said.trigger.org_id, said.trigger.acts_as
        if agent_id is None:
            raise Refused(messaging.MessageNotFound(seq=said.seq))
        try:
            return await self._read(said, org_id, agent_id)
        except Refused as refusal:
            if not isinstance(refusal.problem, Unauthenticated):
                raise
        self._tokens.drop(org_id, agent_id, _SCOPES)
        return await self._read(said, org_id, agent_id)

    async def _read(self, said: _Said, org_id: UUID, agent_id: UUID) -> Message:
        token = await self._tokens.for_principal(org_id, agent_id, _SCOPES)
        request = messaging.GetMessage(said.conversation_id, said.seq)
        return await self._kernel.caller.call(request, token=token)


def _wanted(trigger: Armed, value: dict[str, object]) -> bool:
    """Whether the trigger's condition holds. StepFailed."""
    on = trigger.on.on
    if not isinstance(on, OnMessage) or not on.condition:
        return True
    return compiled(on.condition, ("message",)).holds({"message": value})


def _told(message: Message) -> dict[str, object]:
    """A message as conditions and graphs see it."""
    value: dict[str, object] = msgspec.json.decode(msgspec.json.encode(message))
    return {name: value[name] for name in _TOLD}


def _age_s(time: str) -> float:
    """How long ago an event was told, by this machine's clock."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()
    except ValueError:
        return 0.0
