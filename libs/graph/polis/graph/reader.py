"""Readers of contents as Structs, also for threads: msgspec has learned the type before the first of them reads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", bound=Struct)


def reader(type_: type[T]) -> Callable[[object], T]:
    """`msgspec.convert` to this type, to be made where the type is.

    msgspec 0.22 learns a type when it is first used, and a process in which two threads use one first that is made of
    others crashes: the second thread finds it half known.
    """
    msgspec.json.Decoder(type_)
    return partial(msgspec.convert, type=type_)
