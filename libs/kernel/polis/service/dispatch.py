"""From a message on the bus to a handler and back: slots, deadline, actor, scope, decode, handle, reply, record."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from polis.bus import BusTimeout, Disconnected
from polis.db import Deadline
from polis.proto import Operation, Problem, Refused
from polis.proto.problems import MESH_PROBLEMS, DeadlineExceeded, Internal, Malformed, Overloaded
from polis.service import call, moments
from polis.service.actor import ANONYMOUS, admit
from polis.service.context import Context, Replayed
from polis.service.faults import invalid_from_msgspec
from polis.service.stream import send
from polis.service.wire import encode_problem
from polis.telemetry import log, metrics, spans, trace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from polis.bus import Message
    from polis.service.actor import Actor
    from polis.service.kernel import Kernel
    from polis.telemetry import Trace

_SWEEP_S = 0.05
"""How often overdue calls are looked for: a deadline holds to within this."""
_PROBLEM = "application/problem+json"
REPLAYED = "Idempotency-Replayed"
_MAX_KEY = 255


class Endpoint:
    """An operation with its handler and what `$SRV.STATS` tells of it."""

    __slots__ = ("decode", "errors", "handler", "last_error", "operation", "promptly", "requests", "seconds")

    def __init__(self, operation: Operation, handler: Callable[..., Any], *, promptly: bool = False) -> None:
        self.operation = operation
        self.handler = handler
        self.decode = call.request_decoder(operation).decode
        self.promptly = promptly
        self.requests = 0
        self.errors = 0
        self.seconds = 0.0
        self.last_error = ""


class Call:
    """One request in hand. `task` is what it waits for: the task of its handler, or the answer of a prompt one."""

    __slots__ = (
        "actor", "begun", "deadline", "endpoint", "headers", "message", "overdue", "started", "task", "trace",
    )  # fmt: skip

    def __init__(self, endpoint: Endpoint, message: Message, deadline: Deadline) -> None:
        self.endpoint = endpoint
        self.message = message
        self.headers = message.headers
        self.deadline = deadline
        self.trace: Trace = trace.parse(self.headers.get(call.TRACE))
        self.started = time.monotonic()
        self.actor: Actor = ANONYMOUS
        self.task: asyncio.Future[Any] | None = None
        self.begun = False
        self.overdue = False


class Dispatcher:
    """Runs handlers in a bounded number of tasks; what waits is bounded too, and the rest is refused at once."""

    def __init__(self, kernel: Kernel, own: object) -> None:
        self._kernel = kernel
        self._own = own
        self._running: set[Call] = set()
        self._waiting: deque[Call] = deque()
        self._loop = asyncio.get_running_loop()
        metrics.in_flight.set_function(lambda: len(self._running))
        metrics.queued.set_function(lambda: len(self._waiting))

    def accept(self, endpoint: Endpoint, message: Message) -> None:
        """Start, queue or refuse a request; called by the bus for each message, so it never waits."""
        received = Call(endpoint, message, self._deadline(message.headers))
        if len(self._running) < self._kernel.settings.slots:
            self._start(received)
        elif len(self._waiting) < self._kernel.settings.queue:
            self._waiting.append(received)
        else:
            self._refuse(received, Overloaded(retry_after_s=1.0))

    def _deadline(self, headers: Mapping[str, str]) -> Deadline:
        given = headers.get(call.DEADLINE)
        if given is None or not given.isdecimal():
            seconds = self._kernel.settings.call_timeout_s
        else:
            seconds = min(int(given) / 1000 - time.time(), _MAX_DEADLINE_S)
        return Deadline(self._loop.time() + seconds)

    async def drain(self, timeout_s: float) -> int:
        """Wait until everything accepted is answered, for a bounded time; how many are left."""
        end = time.monotonic() + timeout_s
        while (self._running or self._waiting) and time.monotonic() < end:
            tasks = [c.task for c in self._running if c.task is not None]
            await asyncio.wait(tasks, timeout=end - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
        return len(self._running) + len(self._waiting)

    async def sweep(self) -> None:
        """Cancel calls that are past their deadline, and measure how late the event loop runs."""
        while True:
            before = self._loop.time()
            await asyncio.sleep(_SWEEP_S)
            metrics.loop_lag.set(max(0.0, self._loop.time() - before - _SWEEP_S))
            now = self._loop.time()
            for running in tuple(self._running):
                # One that has not begun could not answer: it is cancelled the next time.
                if running.deadline.at <= now and running.begun and not running.overdue and running.task:
                    running.overdue = True
                    running.task.cancel()

    def _start(self, received: Call) -> None:
        self._running.add(received)
        if received.endpoint.promptly and (actor := self._known(received)) is not None:
            self._answer_promptly(received, actor)
        else:
            received.task = self._loop.create_task(self._answer(received))

    def _known(self, received: Call) -> Actor | None:
        headers = received.headers
        return self._kernel.keys.known(headers.get(call.ACTOR, ""), headers.get(call.ORG))

    def _answer_promptly(self, received: Call, actor: Actor) -> None:
        try:
            answer = received.endpoint.handler(*self._opened(received, actor))
        except Exception as error:  # noqa: BLE001 - the last wall, as in `_answer`
            self._running.discard(received)
            self._failed(received, error)
            return
        received.begun = True
        received.task = answer
        answer.add_done_callback(partial(self._answered, received))

    def _answered(self, received: Call, answer: asyncio.Future[object]) -> None:
        try:
            self._reply(received, call.encode_answer(answer.result()))
        except asyncio.CancelledError:
            self._failed(received, Refused(DeadlineExceeded()))
        except Exception as error:  # noqa: BLE001 - the last wall, as in `_answer`
            self._failed(received, error)
        finally:
            self._finished(received)

    def _finished(self, done: Call) -> None:
        self._running.discard(done)
        while self._waiting and len(self._running) < self._kernel.settings.slots:
            waiting = self._waiting.popleft()
            if waiting.deadline.remaining() > 0:
                self._start(waiting)
            else:
                self._refuse(waiting, DeadlineExceeded())

    async def _answer(self, received: Call) -> None:
        received.begun = True
        trace.follow(received.trace)
        try:
            await self._handle(received)
        except asyncio.CancelledError:
            if not received.overdue:
                raise
            self._failed(received, Refused(DeadlineExceeded()))
        except Exception as error:  # noqa: BLE001 - the last wall
            self._failed(received, error)
        finally:
            self._finished(received)

    async def _handle(self, received: Call) -> None:
        actor = self._known(received)
        if actor is None:
            headers = received.headers
            actor = await self._kernel.keys.actor(headers.get(call.ACTOR, ""), headers.get(call.ORG))
        answer = received.endpoint.handler(*self._opened(received, actor))
        if received.endpoint.operation.streams:
            await self._stream(received, answer)
        else:
            self._reply(received, call.encode_answer(await answer))

    def _opened(self, received: Call, actor: Actor) -> tuple[object, Context[Any]]:
        """The request and the context of a call that its actor may make. Refused otherwise."""
        operation, headers = received.endpoint.operation, received.headers
        received.actor = actor
        admit(operation, actor)
        request = _decoded(received.endpoint, received.message.payload)
        context = Context(
            self._kernel,
            self._own,
            operation,
            request,
            actor=actor,
            deadline=received.deadline,
            trace=received.trace,
            key=_key(operation, headers.get(call.IDEMPOTENCY_KEY, "")),
            headers=headers,
        )
        return request, context

    def _failed(self, received: Call, error: Exception) -> None:
        """What is no answer from before and no refusal is a defect: recorded with its trace, told without text."""
        if isinstance(error, Replayed):
            nothing = received.endpoint.operation.answer is None
            self._reply(received, b"" if nothing else error.answer, {REPLAYED: "true"})
        elif isinstance(error, Refused):
            self._refuse(received, error.problem, error.detail)
        else:
            log.error("request.failed", **_which(received), exc_info=error)
            self._refuse(received, Internal())

    async def _stream(self, received: Call, parts: AsyncGenerator[object, None]) -> None:
        received.deadline = Deadline.after(_STREAM_S)
        try:
            await send(self._kernel.bus, received.message.reply, parts)
        except BusTimeout:
            log.warning("stream.abandoned", operation=received.endpoint.operation.name)
        self._record(received, 200, "")

    def _reply(self, received: Call, payload: bytes, headers: dict[str, str] | None = None) -> None:
        self._publish(received, payload, headers)
        self._record(received, 200, "")

    def _refuse(self, received: Call, problem: Problem, detail: str = "") -> None:
        problem, detail = self._declared(received, problem, detail)
        payload = encode_problem(problem, detail=detail, instance=received.trace.trace_id)
        title = problem.title.encode("ascii", "replace").decode()
        headers = {call.ERROR_CODE: str(problem.status), call.ERROR: title, call.CONTENT_TYPE: _PROBLEM}
        self._publish(received, payload, headers)
        self._kernel.denials.note(received.actor, received.endpoint.operation.name, problem)
        received.endpoint.errors += 1
        received.endpoint.last_error = f"{problem.status}:{title}"
        self._record(received, problem.status, problem.type)

    def _declared(self, received: Call, problem: Problem, detail: str) -> tuple[Problem, str]:
        if isinstance(problem, (*MESH_PROBLEMS, *received.endpoint.operation.problems)):
            return problem, detail
        log.error("problem.undeclared", **_which(received), problem=problem.type)
        return Internal(), ""

    def _publish(self, received: Call, payload: bytes, headers: dict[str, str] | None) -> None:
        try:
            self._kernel.bus.answer(received.message, payload, headers=headers)
        except Disconnected:
            log.warning("reply.lost", **_which(received))

    def _record(self, received: Call, status: int, problem: str) -> None:
        endpoint, seconds = received.endpoint, time.monotonic() - received.started
        endpoint.requests += 1
        endpoint.seconds += seconds
        metrics.answered(endpoint.operation.name, status, seconds)
        first = self._kernel.requests.add(
            self._kernel.requests.line(
                endpoint.operation.name,
                status=status,
                seconds=seconds,
                here=received.trace,
                request_id=received.headers.get(call.REQUEST_ID, ""),
                principal_id="" if received.actor is ANONYMOUS else received.actor.principal_id,
                org_id="" if received.actor is ANONYMOUS else received.actor.org_id,
                problem=problem,
            )
        )
        if first:
            self._loop.call_soon(self._kernel.requests.flush)
        if spans.recording(received.trace, failed=status >= 500):
            attributes: dict[str, str | int] = {
                "rpc.system": "nats",
                "rpc.method": endpoint.operation.subject,
                "rpc.status": status,
            }
            spans.record(
                endpoint.operation.subject, received.trace, kind="server", seconds=seconds, attributes=attributes,
                error=problem if status >= 500 else "",
            )  # fmt: skip


_STREAM_S = 3600.0
"""A stream is bounded by credit, not by the caller's deadline; this only ends one that never would."""


def _which(received: Call) -> dict[str, str]:
    """What a log line says of a call: the trace of a prompt one is not the current one."""
    return {"operation": received.endpoint.operation.name, "trace_id": received.trace.trace_id}


_MAX_DEADLINE_S = 600.0


def _decoded(endpoint: Endpoint, payload: bytes) -> object:
    try:
        request = endpoint.decode(payload)
    except msgspec.ValidationError as error:
        raise Refused(invalid_from_msgspec(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Malformed(reason=str(error))) from None
    except RecursionError:
        raise Refused(Malformed(reason="nested too deeply")) from None
    moments.demand(endpoint.operation, request)
    return request


def _key(operation: Operation, key: str) -> str:
    if not operation.idempotent:
        return ""
    if len(key) > _MAX_KEY:
        raise Refused(Malformed(reason=f"Idempotency-Key is longer than {_MAX_KEY} characters"))
    return key
