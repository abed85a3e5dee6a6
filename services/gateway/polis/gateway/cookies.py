"""The cookies of a browser session: their names, where they are sent, and how they are written.

Where the origin is https their names begin with `__Host-`: browsers take such a cookie from this very host alone, so none
that a sibling domain or a page on plain http has set passes for ours (RFC 6265bis 4.1.3.2). The price is that both go to every
path. On http, as `make up` has it on this machine, browsers refuse such names: there they are plain and bound to their paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from polis.gateway.http import Exchange
    from polis.gateway.proxies import Proxies

_HOST = "__Host-"


class Cookie(Struct, frozen=True):
    """One of them; `path` is where it goes on http."""

    name: str
    path: str

    def named(self, *, secure: bool) -> str:
        return _HOST + self.name if secure else self.name


ACCESS = Cookie("polis_access", "/api")
REFRESH = Cookie("polis_refresh", "/api/v1/session")


class Cookies:
    """Reads and writes them, by how the client came."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    def read(self, exchange: Exchange, cookie: Cookie) -> str:
        """Its value; "" without one."""
        if b"cookie" not in exchange.headers:
            return ""
        return exchange.cookie(cookie.named(secure=self._proxies.secure(exchange)))

    def write(self, exchange: Exchange, cookie: Cookie, value: str, *, max_age_s: int) -> None:
        """Set it with the answer; for no second, it is dropped."""
        secure = self._proxies.secure(exchange)
        where = "Path=/; Secure" if secure else f"Path={cookie.path}"
        line = (
            f"{cookie.named(secure=secure)}={value}; HttpOnly; SameSite=Strict; {where}; Max-Age={max_age_s}"
        )
        exchange.extra.append((b"set-cookie", line.encode()))
