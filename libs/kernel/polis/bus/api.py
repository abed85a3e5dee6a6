"""JetStream's JSON API (NATS ADR-1): a request whose answer may be an error. Also a publish to a stream is answered so."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from polis.bus.client import Bus
from polis.bus.errors import BusError

T = TypeVar("T", bound="Answer")

API_TIMEOUT_S = 5.0
_WRONG_LAST_SEQUENCE = 10071


class StreamError(BusError):
    """JetStream refuses: no effect. `err_code` is its own number of the reason."""

    def __init__(self, description: str, err_code: int) -> None:
        super().__init__(f"{description} ({err_code})")
        self.err_code = err_code


class WrongLastSequence(StreamError):
    """The stream does not stand where the writer believes: nothing was stored. `actual` is where it stands."""

    def __init__(self, description: str, actual: int | None) -> None:
        super().__init__(description, _WRONG_LAST_SEQUENCE)
        self.actual = actual


class Fault(msgspec.Struct, frozen=True):
    description: str = ""
    err_code: int = 0


class Answer(msgspec.Struct, frozen=True):
    error: Fault | None = None


async def call(bus: Bus, verb: str, payload: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Ask the API. StreamError for its errors, and those of `Bus.request`."""
    reply = await bus.request(f"$JS.API.{verb}", payload, timeout_s=API_TIMEOUT_S)
    return checked(decoder.decode(reply.payload))


def checked(answer: T) -> T:
    fault = answer.error
    if fault is None:
        return answer
    if fault.err_code == _WRONG_LAST_SEQUENCE:
        last = fault.description.rpartition(" ")[2]
        raise WrongLastSequence(fault.description, int(last) if last.isdecimal() else None)
    raise StreamError(fault.description, fault.err_code)
