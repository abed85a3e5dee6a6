"""Spans for OTLP: built after the fact, only for calls that were sampled or failed, so an unsampled call costs nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from polis.telemetry.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor

Kind = Literal["internal", "server", "client", "producer", "consumer"]

_EXPORT_QUEUE = 4096
_EXPORT_TIMEOUT_MS = 5_000
_processor: SpanProcessor | None = None
_resource: Resource | None = None


def export_to(url: str, service: str) -> None:
    """Send spans to an OTLP/HTTP collector (`<url>/v1/traces`), from a bounded queue, off the request path."""
    global _processor, _resource  # noqa: PLW0603 - one exporter a process
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _resource = Resource.create({"service.name": f"polis-{service}"})
    exporter = OTLPSpanExporter(endpoint=url.rstrip("/") + "/v1/traces", timeout=_EXPORT_TIMEOUT_MS // 1000)
    _processor = BatchSpanProcessor(exporter, max_queue_size=_EXPORT_QUEUE)


def recording(trace: Trace | None, *, failed: bool = False) -> bool:
    """Whether a span would be kept; ask before building its attributes."""
    return _processor is not None and trace is not None and (trace.sampled or failed)


def record(
    name: str,
    trace: Trace,
    *,
    kind: Kind,
    seconds: float,
    attributes: Mapping[str, str | int],
    error: str = "",
    ended_at: float | None = None,
    links: Sequence[Trace] = (),
) -> None:
    """Hand over one finished span that lasted `seconds` and ends now, or at `ended_at` (seconds since 1970)."""
    if _processor is None:
        return
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

    end = time.time_ns() if ended_at is None else int(ended_at * 1e9)
    flags = TraceFlags(TraceFlags.SAMPLED)
    trace_id = int(trace.trace_id, 16)
    parent = (
        SpanContext(trace_id, int(trace.parent_id, 16), is_remote=True, trace_flags=flags)
        if trace.parent_id
        else None
    )
    _processor.on_end(
        ReadableSpan(
            name=name,
            context=SpanContext(trace_id, int(trace.span_id, 16), is_remote=False, trace_flags=flags),
            parent=parent,
            resource=_resource,
            attributes=dict(attributes),
            kind=SpanKind[kind.upper()],
            status=Status(StatusCode.ERROR, error) if error else Status(StatusCode.UNSET),
            links=[
                Link(
                    SpanContext(
                        int(link.trace_id, 16), int(link.span_id, 16), is_remote=True, trace_flags=flags
                    )
                )
                for link in links
            ],
            start_time=end - int(seconds * 1e9),
            end_time=end,
        )
    )


def shutdown() -> None:
    """Send what is queued, for a bounded time; nothing is recorded afterwards."""
    global _processor
    processor, _processor = _processor, None
    if processor is not None:
        processor.force_flush(_EXPORT_TIMEOUT_MS)
        processor.shutdown()
