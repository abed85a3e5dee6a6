"""What configurations name: hosts by URL, headers, operations and events of the mesh, elements by selector, files in a folder."""

from __future__ import annotations

import re
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from polis.graph.faults import Malformed
from polis.proto.contract import events, operations
from polis.proto.registry import load

if TYPE_CHECKING:
    from polis.proto import Operation

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
)
"""Headers that say where a message goes and ends: they are the connection's."""


@cache
def callable_operations() -> dict[str, Operation]:
    """The operations that steps may call, by `service.name`."""
    load()
    return {f"{o.service}.{o.name}": o for o in operations() if o.in_runs}


def refuse_operation(name: str) -> None:
    if name not in callable_operations():
        raise Malformed(f"steps may call no operation `{name:.120}`")


@cache
def event_types() -> frozenset[str]:
    """The events that may be followed, as `<service>.<fact>`."""
    load()
    return frozenset(f"{event.service}.{event.fact}" for event in events())


def refuse_event(name: str) -> None:
    if name not in event_types():
        raise Malformed(f"there is no event `{name:.120}`")


def refuse_url(url: str) -> None:
    """Malformed for what a request cannot go to."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Malformed("this is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Malformed("a URL begins with https:// or http:// and names a host")
    if "@" in parts.netloc:
        raise Malformed("a URL holds no user and no password: a credential is for that")


def refuse_header(name: str, value: str) -> None:
    """Malformed for a header that a request of a step cannot have."""
    if not _TOKEN.match(name):
        raise Malformed("this is no name of a header")
    if name.lower() in _OURS or name.lower().startswith("proxy-"):
        raise Malformed("this header is the connection's own")
    if any(char in value for char in "\r\n\0"):
        raise Malformed("a value has one line")


def refuse_selector(text: str) -> None:
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    try:
        LexborHTMLParser("<p></p>").css(text)
    except (SelectolaxError, ValueError):
        raise Malformed("this is no CSS selector") from None


def refuse_way_out(path: str) -> None:
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise Malformed("a path inside of the folder")


def refuse_uuid(text: str) -> None:
    try:
        UUID(text)
    except ValueError:
        raise Malformed("this is no UUID") from None
