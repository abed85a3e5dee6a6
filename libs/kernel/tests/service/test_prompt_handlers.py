"""Prompt handlers are called in the order in which calls came; each call is answered once, whatever becomes of it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from uuid import UUID

import msgspec
import pytest

from polis.bus import Disconnected, PayloadTooLarge
from polis.bus.message import Message
from polis.proto import Refused
from polis.proto.contract import operation_of
from polis.proto.messaging import ConversationNotFound, MessageDeleted, PostMessage
from polis.service import call
from polis.service.actor import Actor
from polis.service.dispatch import Dispatcher, Endpoint
from polis.telemetry import trace
from polis.telemetry.logs import RequestLog

HERE = UUID(int=7)
ADA = Actor(UUID(int=1), "user", UUID(int=2), "owner", frozenset({"messaging:write"}))


class Bus:
    """Keeps what is answered, as (whom, status), and takes only so many bytes at once."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def answer(self, message, payload, *, headers=None):
        if b"lost" in payload:
            raise Disconnected
        if len(payload) > 1_000:
            raise PayloadTooLarge
        self.told.append((message.reply, (headers or {}).get(call.ERROR_CODE, "200")))


class Keys:
    """Knows a token once somebody had to wait for it."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self._known = {"seen"}

    def known(self, token, _):
        return ADA if token in self._known else None

    async def actor(self, token, _):
        await self.told.wait()
        self._known.add(token)
        return ADA


class Calls:
    """What is said to a handler that answers by what is said; `begun` in which order it was asked, `waiting` what it has not answered."""

    def __init__(self, slots: int) -> None:
        self.bus, self.keys = Bus(), Keys()
        self.begun: list[str] = []
        self.waiting: dict[str, asyncio.Future[object]] = {}
        kernel = SimpleNamespace(
            bus=self.bus,
            keys=self.keys,
            settings=SimpleNamespace(slots=slots, queue=100, call_timeout_s=5.0),
            denials=SimpleNamespace(note=lambda *_: None),
            requests=RequestLog("test", SimpleNamespace(write=len, flush=lambda: None)),
        )
        self.dispatcher = Dispatcher(kernel, None)
        self._endpoint = Endpoint(operation_of(PostMessage), self._handle, promptly=True)

    def _handle(self, request, _):
        self.begun.append(request.text)
        match request.text:
            case "refused":
                raise Refused(ConversationNotFound(conversation_id=HERE))
            case "undeclared":
                raise Refused(MessageDeleted(seq=1))
            case "defect":
                raise RuntimeError
        answer = self.waiting[request.text] = asyncio.get_running_loop().create_future()
        return answer

    def say(self, text, *, token="seen", timeout_s=60.0, here=None):
        headers = call.headers_of(token=token, org="", timeout_s=timeout_s, here=here or trace.start())
        payload = msgspec.json.encode(PostMessage(HERE, text=text))
        self.dispatcher.accept(self._endpoint, Message("rpc", text, payload, headers))


@pytest.fixture
def calls():
    return Calls


async def turns():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_with_one_slot_each_is_answered_once_and_in_turn(calls):
    calls = calls(slots=1)
    for text in ("a", "refused", "late", "defect", "b", "undeclared", "c", "large"):
        calls.say(text, timeout_s=0.0 if text == "late" else 60.0)

    for text, end in (
        ("a", lambda answer: answer.set_result("well")),
        ("b", lambda answer: answer.set_exception(RuntimeError())),
        ("c", lambda answer: answer.cancel()),
        ("large", lambda answer: answer.set_result("x" * 2_000)),
    ):
        assert list(calls.waiting) == [text]
        end(calls.waiting.pop(text))
        await turns()

    assert calls.bus.told == [
        ("a", "200"),
        ("refused", "404"),
        ("late", "504"),
        ("defect", "500"),
        ("b", "500"),
        ("undeclared", "500"),
        ("c", "504"),
        ("large", "500"),
    ]
    assert await calls.dispatcher.drain(0.0) == 0


async def test_nobody_passes_those_whose_token_is_looked_at_still(calls):
    calls = calls(slots=10)
    for text in "abc":
        calls.say(text, token="new")
    await turns()

    calls.keys.told.set()
    calls.say("d", token="new")
    await turns()
    calls.say("e", token="new")

    assert calls.begun == list("abcde")


async def test_what_is_logged_of_one_says_which_it_was(calls, told):
    calls = calls(slots=10)
    traces = [trace.start() for _ in range(3)]

    for here, text in zip(traces, ("defect", "undeclared", "unheard"), strict=True):
        calls.say(text, here=here)
    calls.waiting["unheard"].set_result("lost")
    await turns()

    assert [(line["event"], line["trace_id"]) for line in told] == [
        (event, here.trace_id)
        for event, here in zip(("request.failed", "problem.undeclared", "reply.lost"), traces, strict=True)
    ]
