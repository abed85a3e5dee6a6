"""The process: one piece of work from stdin, its result to stdout, within limits that it cannot raise again."""

from __future__ import annotations

import os
import resource
import sys

import msgspec

from polis.runtime.isolated.unfit import Unfit
from polis.runtime.isolated.work import find

MEMORY_BYTES = 1024 * 1024 * 1024
OPEN_FILES = 64


def main() -> None:
    name, arguments, seconds = msgspec.msgpack.decode(sys.stdin.buffer.read())
    _limit(int(seconds) + 1)
    try:
        answer: object = ("done", find(name)(*arguments))
    except Unfit as error:
        answer = ("unfit", (error.kind, str(error)))
    except (MemoryError, RecursionError):
        answer = ("unfit", ("work.too_large", "it takes more memory than there is for it"))
    out = os.fdopen(os.dup(1), "wb")
    out.write(msgspec.msgpack.encode(answer))
    out.flush()
    # Nothing that a library would still do at the end is wanted.
    os._exit(0)


def _limit(seconds: int) -> None:
    wanted = {
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in wanted.items():
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))


main()
