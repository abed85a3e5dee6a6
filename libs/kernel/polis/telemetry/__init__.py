"""Logs, traces and metrics of a process. The only importer that configures structlog and OpenTelemetry."""

from polis.telemetry.logs import configure, log
from polis.telemetry.trace import Trace, current, enter, parse

__all__ = ["Trace", "configure", "current", "enter", "log", "parse"]
