"""What a caller is refused with."""

from __future__ import annotations

from typing import Any

_LATER = frozenset({408, 429, 500, 502, 503, 504})
_IN_FLIGHT = "/problems/in-flight"


class Problem(Exception):
    """A refusal of the gateway (RFC 9457): `type` and `status` are contract, `title` and `detail` are for people.

    Where there was no answer to refuse with, `status` is 0 and the cause says why.
    """

    def __init__(self, content: dict[str, Any], *, retry_after_s: float | None = None) -> None:
        self.content = content
        self.type: str = content.get("type", "about:blank")
        self.status: int = content.get("status", 0)
        self.title: str = content.get("title", "")
        self.detail: str = content.get("detail", "")
        self.faults: list[dict[str, str]] = content.get("faults", [])
        self.retry_after_s: float | None = content.get("retry_after_s", retry_after_s)
        faults = "; ".join(f"{f['pointer']}: {f['detail']}" for f in self.faults)
        super().__init__(" ".join(filter(None, (self.title, self.detail, faults))))

    @property
    def may_pass(self) -> bool:
        """Whether the same may be answered otherwise a little later."""
        return self.status in _LATER or self.type == _IN_FLIGHT


def unreached(address: str) -> Problem:
    return Problem({"title": f"{address} was not reached, or did not answer in time."})


def unauthenticated() -> Problem:
    title = "The token does not hold any more, or the session has ended."
    return Problem({"type": "/problems/unauthenticated", "status": 401, "title": title})
