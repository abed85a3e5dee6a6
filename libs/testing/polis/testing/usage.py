"""Quotas that are played on the bus, for tests of a service that counts by them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Self
from uuid import UUID

import msgspec

from polis.proto.contract import operation_of
from polis.proto.identity import OverQuota, Reservation, ReserveUsage, SettleUsage
from polis.service import call
from polis.service.wire import encode_problem

if TYPE_CHECKING:
    from polis.bus import Bus, Message
    from polis.proto.identity import Meter

ROOM = 1_000_000_000
RESETS_AT = datetime(2100, 1, 1, tzinfo=UTC)


class PlayedUsage:
    """Counts as identity does, until there is nothing left; or says nothing."""

    def __init__(self, bus: Bus, meter: Meter) -> None:
        self.bus = bus
        self.over = OverQuota(UUID(int=1), meter, "day", 7, 0, RESETS_AT)
        self.settled: list[SettleUsage] = []
        self.reserved: list[ReserveUsage] = []
        self._before: set[UUID] = set()
        self.begin()

    @classmethod
    async def on(cls, bus: Bus, meter: Meter) -> Self:
        """Answer on this bus, in identity's place."""
        played = cls(bus, meter)
        await bus.subscribe(operation_of(ReserveUsage).subject, played._reserve, queue="identity")
        await bus.subscribe(operation_of(SettleUsage).subject, played._settle, queue="identity")
        return played

    def begin(self) -> None:
        """Have room again, and forget what was reserved, with what orgs of before may still be reserving."""
        self._before |= {asked.org_id for asked in self.reserved}
        self.left, self.silent = ROOM, False
        self.settles_after_s = self.denies_after_s = 0.0
        self.reserved = []
        self._set_aside: dict[UUID, int] = {}
        self.unanswered: list[Message] = []

    def told(self) -> dict[UUID, int]:
        """What the reservations since the beginning came to; those of before may be settled late."""
        own = {r.reservation_id for r in self.reserved}
        return {s.reservation_id: s.used for s in self.settled if s.reservation_id in own}

    def _reserve(self, message: Message) -> None:
        asked = msgspec.json.decode(message.payload, type=ReserveUsage)
        if asked.org_id in self._before:
            made = Reservation(asked.reservation_id, RESETS_AT, ROOM)
            self.bus.publish(message.reply, msgspec.json.encode(made))
            return
        self.reserved.append(asked)
        if self.silent:
            self.unanswered.append(message)
            return
        self._answer(message, asked)

    def answer_late(self) -> None:
        """Answer now what was asked in silence."""
        for message in self.unanswered:
            self._answer(message, msgspec.json.decode(message.payload, type=ReserveUsage))
        self.unanswered.clear()

    def _answer(self, message: Message, asked: ReserveUsage) -> None:
        if self.left < asked.amount:
            headers = {call.ERROR_CODE: "429", call.ERROR: self.over.title}
            self.over = msgspec.structs.replace(self.over, left=max(0, self.left))
            say = partial(self.bus.publish, message.reply, encode_problem(self.over), headers=headers)
            asyncio.get_running_loop().call_later(self.denies_after_s, say)
            return
        self.left -= asked.amount
        self._set_aside[asked.reservation_id] = asked.amount
        self.bus.publish(
            message.reply, msgspec.json.encode(Reservation(asked.reservation_id, RESETS_AT, self.left))
        )

    def _settle(self, message: Message) -> None:
        asyncio.get_running_loop().call_later(self.settles_after_s, self._settled, message)

    def _settled(self, message: Message) -> None:
        settled = msgspec.json.decode(message.payload, type=SettleUsage)
        self.settled.append(settled)
        set_aside = self._set_aside.pop(settled.reservation_id, None)
        if set_aside is not None:
            self.left += set_aside - settled.used
        self.bus.publish(message.reply, b"")
