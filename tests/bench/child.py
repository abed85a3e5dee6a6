"""A bench that lives in a process of its own: a line of JSON in, one measurement out, until its input ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TextIO

import psutil


class Child:
    """The bench's side."""

    def __init__(self, process: subprocess.Popen[bytes], log: Callable[[], str]) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def ask(self, **question: object) -> Any:
        """Its answer. RuntimeError with its last words when it has ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("started without pipes")
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as error:
            raise RuntimeError(f"{error}: {self._log()}") from None


def own_output() -> TextIO:
    """Where answers go. Whatever else the process prints goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


async def serve(answer: Callable[..., Awaitable[object]], output: TextIO) -> None:
    """The child's side: one question after another."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        output.write(json.dumps(await answer(**json.loads(line))) + "\n")
        output.flush()
