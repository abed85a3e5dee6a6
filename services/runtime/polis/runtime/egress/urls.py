"""Where requests go, and what the status of an answer means for a step."""

from __future__ import annotations

from urllib.parse import urlsplit

from polis.graph.faults import Malformed
from polis.graph.formats.names import refuse_url
from polis.runtime.component import StepFailed

_CLIENT_ERROR, _TOO_MANY, _SERVER_ERROR = 400, 429, 500


def place(url: str) -> tuple[str, int]:
    """Where a request goes."""
    refuse_odd(url)
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def refuse_status(status: int) -> None:
    """StepFailed for what is no success; what a server has trouble with may work later."""
    if status >= _CLIENT_ERROR:
        later = status >= _SERVER_ERROR or status in (_TOO_MANY, 408)
        kind = "http.5xx" if status >= _SERVER_ERROR else "http.429" if status == _TOO_MANY else "http.4xx"
        raise StepFailed(kind, f"the answer's status is {status}", retryable=later)


def refuse_odd(url: str) -> None:
    """StepFailed for what is no URL of the web."""
    try:
        refuse_url(url)
    except Malformed as error:
        raise StepFailed("http.url", str(error)) from None
