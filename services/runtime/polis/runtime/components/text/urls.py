"""Components url.parse and url.build (RFC 3986)."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component, message
from polis.runtime.components.text.given import the_text

MAX_CHARS = 8_000
MAX_FIELDS = 500


class Parts(Struct, frozen=True):
    """What a URL is made of."""

    host: str
    scheme: str = "https"
    port: int | None = None
    path: str = ""
    query: dict[str, str | list[str]] = {}
    fragment: str = ""


@component("url.parse")
def url_parse(step: Step, inputs: Inputs) -> None:
    text = the_text(inputs)
    if len(text) > MAX_CHARS:
        raise StepFailed("url.too_long", f"over {MAX_CHARS:,} characters")
    try:
        parts = urlsplit(text.strip())
        fields = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        port = parts.port
    except ValueError as error:
        raise StepFailed("url.invalid", f"this is no URL: {error}"[:200]) from None
    query: dict[str, list[str]] = {}
    for name, value in fields:
        query.setdefault(name, []).append(value)
    step.emit(
        "out",
        {
            "scheme": parts.scheme,
            "user": parts.username or "",
            "host": parts.hostname or "",
            "port": port,
            "path": parts.path,
            "query": query,
            "fragment": parts.fragment,
        },
    )


@component("url.build")
def url_build(step: Step, inputs: Inputs) -> None:
    parts = message(inputs, "in", Parts)
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    if not host or any(char in "/?#@\\ \t\r\n" for char in host):
        raise StepFailed("url.invalid", "this is no name of a host")
    authority = host if parts.port is None else f"{host}:{parts.port}"
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    rooted = path if not path or path.startswith("/") else f"/{path}"
    query = urlencode(msgspec.to_builtins(parts.query), doseq=True)
    url = urlunsplit((parts.scheme, authority, rooted, query, quote(parts.fragment)))
    if len(url) > MAX_CHARS:
        raise StepFailed("url.too_long", f"over {MAX_CHARS:,} characters")
    step.emit("out", url)
