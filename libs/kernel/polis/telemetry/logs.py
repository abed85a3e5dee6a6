"""JSON lines on standard output: structlog for what happens, one lean record for each request."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import BinaryIO
from uuid import UUID

import msgspec
import structlog

from polis.telemetry import trace

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_SECRET_KEYS = frozenset(
    {
        "password",
        "token",
        "access_token",
        "refresh_token",
        "client_secret",
        "secret",
        "authorization",
        "cookie",
        "credential",
    }
)
_encoder = msgspec.json.Encoder(enc_hook=repr)
# Without local variables: they hold passwords and tokens where a handler failed.
_tracebacks = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(service: str, *, level: str = "info", stream: BinaryIO | None = None) -> None:
    """Make every log line of this process a JSON object with time, level, event, service and trace id."""
    out = stream or sys.stdout.buffer
    threshold = logging.getLevelNamesMapping()[level.upper()]

    def add_context(_: object, __: str, line: MutableMapping[str, object]) -> MutableMapping[str, object]:
        here = trace.current()
        if here is not None:
            line.setdefault("trace_id", here.trace_id)
        line["service"] = service
        return line

    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_context,
        _hide_secrets,
        _tracebacks,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_render)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: _Lines(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(_Text(out))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=lambda line, **_: _render(line).decode()),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)


class RequestLine(msgspec.Struct, kw_only=True, gc=False):
    """The one line that every request leaves. It holds ids and numbers, never content."""

    timestamp: datetime
    service: str
    operation: str
    status: int
    ms: float
    trace_id: str
    request_id: str
    principal_id: UUID | str = ""
    org_id: UUID | str = ""
    problem: str = ""
    level: str
    event: str = "request"


class RequestLog:
    """Collects request lines and writes them in one go; the owner calls `flush` once per loop turn."""

    def __init__(self, service: str, stream: BinaryIO | None = None) -> None:
        self.service = service
        self._stream = stream or sys.stdout.buffer
        self._lines: list[RequestLine] = []
        self._now = datetime.now(UTC)
        """Of the lines that are kept: they are of one turn, and to read the clock for each costs as much as the line."""

    def add(self, line: RequestLine) -> bool:
        """Keep a line; true when it is the first since the last flush."""
        self._lines.append(line)
        return len(self._lines) == 1

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            _write(self._stream, _encoder.encode_lines(lines))

    def line(
        self,
        operation: str,
        *,
        status: int,
        seconds: float,
        here: trace.Trace,
        request_id: str = "",
        principal_id: UUID | str = "",
        org_id: UUID | str = "",
        problem: str = "",
    ) -> RequestLine:
        if not self._lines:
            self._now = datetime.now(UTC)
        return RequestLine(
            timestamp=self._now,
            service=self.service,
            operation=operation,
            status=status,
            ms=int(seconds * 1_000_000) / 1000,
            trace_id=here.trace_id,
            request_id=request_id or here.trace_id,
            principal_id=principal_id,
            org_id=org_id,
            problem=problem,
            level="info" if status < 500 else "error",
        )


def _hide_secrets(_: object, __: str, line: MutableMapping[str, object]) -> MutableMapping[str, object]:
    for key in [k for k in line if k.endswith("_pii")]:
        del line[key]
    for key in _SECRET_KEYS & line.keys():
        line[key] = "[hidden]"
    return line


def _render(line: object, **_: object) -> bytes:
    return _encoder.encode(line)


def _write(out: BinaryIO, lines: bytes) -> None:
    """What cannot be written, as on a full disk, is lost; whoever said it goes on."""
    with suppress(OSError):
        out.write(lines)
        out.flush()


class _Lines:
    """Where structlog's lines end."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def msg(self, line: bytes) -> None:
        _write(self._out, line + b"\n")

    debug = info = warning = error = critical = msg


class _Text:
    """What logging.StreamHandler writes text to, above a binary stream."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, text: str) -> None:
        self._out.write(text.encode())

    def flush(self) -> None:
        self._out.flush()
