"""A script in an engine of its own. It imports nothing of Polis: it is loaded where there is nothing else."""

from __future__ import annotations

import json
import time

import _quickjs
from kinds import INTERRUPTED, kind_of  # type: ignore[import-not-found] # beside this file

STACK_BYTES = 512 * 1024
_PARSES = "polis: it parses"
_PROBE = f'"use strict"; throw "{_PARSES}";\n'
_MAX_MESSAGE = 2000


class Failed(Exception):
    """A script cannot be loaded, or a call of it has no result."""

    def __init__(self, kind: str, message: str, *, spoilt: bool = False) -> None:
        super().__init__(message[:_MAX_MESSAGE])
        self.kind = kind
        self.spoilt = spoilt
        """The realm may be in any state: it must not be used again."""


class Realm:
    """A script, loaded. What a call declares or changes is gone when it has ended."""

    def __init__(self, script: dict[str, object], prelude: str) -> None:
        source = str(script["source"])
        self.timeout_s = float(str(script["timeout_s"]))
        memory = int(str(script["memory_mb"])) * 1024 * 1024
        demand_parses(source)
        self._context = context = _context(self.timeout_s, memory)
        # The source stands as a script by itself, as was just shown, so it cannot end the function around it early.
        enclosed = f'(function () {{ "use strict";\n{source}\n;return typeof process === "undefined" ? 0 : process; }})'
        try:
            take = context.eval("(function (list, at) { return list[at]; })")
            made = context.eval(prelude)(context.eval(enclosed), json.dumps(script["outputs"]))
        except (_quickjs.JSException, _quickjs.StackOverflow) as error:
            raise _failed(error) from None
        self._begin, self._finish, self._check = (take(made, at) for at in range(3))

    def call(self, text: str) -> str:
        """A call and its answer, both JSON. Failed when it took too much; what the script throws is in the answer."""
        until = time.process_time() + self.timeout_s
        try:
            answer = self._begin(text)
            if self._context.execute_pending_job():
                self._drain(until)
            return str(answer or self._finish())
        except (_quickjs.JSException, _quickjs.StackOverflow) as error:
            raise _failed(error) from None

    def check(self) -> str:
        """What is wrong with it as a component; empty when nothing is."""
        try:
            wrong = str(self._check())
            self._drain(time.process_time() + self.timeout_s)
        except (_quickjs.JSException, _quickjs.StackOverflow) as error:
            raise _failed(error) from None
        return wrong

    def held_bytes(self) -> int:
        return int(self._context.memory()["malloc_size"])

    def _drain(self, until: float) -> None:
        """Do what promises have put off, until nothing is left."""
        while self._context.execute_pending_job():
            if time.process_time() > until:
                raise Failed("timeout", INTERRUPTED, spoilt=True)


def demand_parses(source: str) -> None:
    """Failed unless the source is a whole script: it is read to its end, and none of it is executed."""
    try:
        _context(5.0, 64 * 1024 * 1024).eval(_PROBE + source)
    except _quickjs.StackOverflow:
        raise Failed("invalid", "it is nested too deeply") from None
    except _quickjs.JSException as error:
        message = str(error).split("\n", 1)[0]
        if message != _PARSES:
            raise Failed("invalid", _hint(message) + _place(str(error))) from None


def _hint(message: str) -> str:
    hint = "; write `function process(ctx, port, value) {...}`, without `export`"
    return message + hint if "export" in message or "import" in message else message


def _place(error: str) -> str:
    """` (line 3, column 7)`: where the engine saw it, as the author counts."""
    _, _, place = error.strip().rpartition("<input>:")
    line, _, column = place.rstrip(")").partition(":")
    return f" (line {int(line) - 1}, column {column})" if line.isdigit() and column.isdigit() else ""


def _context(timeout_s: float, memory: int) -> _quickjs.Context:
    context = _quickjs.Context()
    context.set_time_limit(timeout_s)
    context.set_memory_limit(memory)
    context.set_max_stack_size(STACK_BYTES)
    return context


def _failed(error: Exception) -> Failed:
    if isinstance(error, _quickjs.StackOverflow):
        return Failed("stack", "RangeError: Maximum call stack size exceeded", spoilt=True)
    message = str(error).split("\n", 1)[0]
    return Failed(kind_of(message), message, spoilt=True)
