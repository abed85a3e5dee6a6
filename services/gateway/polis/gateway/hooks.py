"""Posts from outside: to webhooks, whose senders are told apart by what they sign, and events in the words of older clients."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.gateway.incoming import read
from polis.proto import Refused, Request
from polis.proto.contract import operation_of
from polis.proto.identity import AgentRef
from polis.proto.runtime import TERMINAL, HookUnknown, ReceiveHook, TellEvent, ToldEvent, ToldType
from polis.service import call

if TYPE_CHECKING:
    from polis.gateway.http import Exchange
    from polis.proto import Operation
    from polis.service import Actor, Caller
    from polis.service.actor import Keys

TIMEOUT_S = 25.0
"""For a hook whose answer waits for its run, and then some."""


class EventByName(Request[ToldEvent], frozen=True):
    """TellEvent in the words of older clients."""

    type: ToldType
    npc: AgentRef | None = None
    data: dict[str, object] = {}  # noqa: RUF012 - msgspec copies it


EVENT_BY_NAME = msgspec.structs.replace(operation_of(TellEvent), request=EventByName, local=True)


class Hooks:
    """Answers CallHook and EventByName."""

    def __init__(self, caller: Caller, keys: Keys) -> None:
        self._caller = caller
        self._keys = keys

    async def receive(
        self, exchange: Exchange, operation: Operation, path: dict[str, str], actor: Actor
    ) -> None:
        """200 with what the run came to where it has ended by then; 202 with the run otherwise."""
        del actor
        post = ReceiveHook(
            trigger_id=_id(path["trigger_id"]),
            body=await exchange.body(operation.max_body),
            media_type=exchange.header(b"content-type"),
            message_id=exchange.header(b"webhook-id"),
            timestamp=exchange.header(b"webhook-timestamp"),
            signature=exchange.header(b"webhook-signature"),
            token=exchange.header(b"x-hook-token"),
        )
        taken = await self._caller.call(post, token=await self._keys.own_token(), timeout_s=TIMEOUT_S)
        await exchange.answer(200 if taken.state in TERMINAL else 202, call.encode_answer(taken))

    async def tell(
        self, exchange: Exchange, operation: Operation, path: dict[str, str], actor: Actor
    ) -> None:
        asked = await read(exchange, operation, path)
        assert isinstance(asked, EventByName)  # noqa: S101 - read() decodes what the operation declares
        told = await self._caller.call(
            TellEvent(type=asked.type, data=asked.data, agent=asked.npc),
            token=actor.token,
            org=str(actor.org_id),
            idempotency_key=exchange.header(b"idempotency-key"),
        )
        await exchange.answer(202, call.encode_answer(told))


def _id(text: str) -> UUID:
    """What is no id names no hook either: both are answered alike."""
    try:
        return UUID(text)
    except ValueError:
        raise Refused(HookUnknown()) from None
