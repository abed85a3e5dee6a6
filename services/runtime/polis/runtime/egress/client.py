"""Connections out of the mesh: HTTP requests, and plain sockets for other protocols. No proxies, no cookies, all bounded.

Names are resolved here and the addresses judged here, and the very addresses that were judged are connected to.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from polis.runtime.component import StepFailed
from polis.runtime.egress.addresses import refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import aiohttp

    from polis.runtime.egress.addresses import Allowed

AT_ONCE = 64
AT_ONCE_PER_HOST = 16
CONNECT_S = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DROPPED = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that no redirect takes along to another origin; a credential's own is among them."""


class Outgoing(Struct, frozen=True):
    """A request. secret: names of headers that are a credential's, which no other origin gets."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes = b""
    timeout_s: float = 30.0
    max_bytes: int = 512 * 1024
    max_redirects: int = 5
    secret: frozenset[str] = frozenset()


class Incoming(Struct, frozen=True):
    """What came back, its body unpacked."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str


class Egress:
    """The connections of this process to hosts outside, made when one is first wanted."""

    def __init__(self, allowed: Allowed) -> None:
        self.allowed = allowed
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(self, outgoing: Outgoing) -> Incoming:
        """The answer, redirects followed. StepFailed `http.*` or `egress.*`; what may work later is retryable."""
        try:
            async with asyncio.timeout(outgoing.timeout_s):
                return await self._followed(outgoing)
        except TimeoutError:
            raise StepFailed(
                "http.timeout", f"no answer within {outgoing.timeout_s:g} s", retryable=True
            ) from None

    async def socket(self, host: str, port: int) -> socket.socket:
        """A connected socket that does not block. StepFailed `egress.*`."""
        loop = asyncio.get_running_loop()
        for family, address in await self.allowed.resolve(host, port):
            opened = socket.socket(family, socket.SOCK_STREAM)
            opened.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_S):
                    await loop.sock_connect(opened, (address, port))
            except (OSError, TimeoutError):
                opened.close()
            except BaseException:
                opened.close()
                raise
            else:
                return opened
        raise StepFailed("egress.connect", f"`{host:.200}` cannot be reached", retryable=True)

    async def _followed(self, outgoing: Outgoing) -> Incoming:
        method, url, headers, body = outgoing.method, outgoing.url, dict(outgoing.headers), outgoing.body
        for _ in range(outgoing.max_redirects + 1):
            self._check(url)
            async with self._sent(method, url, headers, body) as response:
                target = response.headers.get("Location")
                if response.status not in _REDIRECTS or target is None or not outgoing.max_redirects:
                    return await _read(response, outgoing.max_bytes)
                status = response.status
            before, url = url, urljoin(url, target)
            if _origin(url) != _origin(before):
                gone = _DROPPED | outgoing.secret
                headers = {name: value for name, value in headers.items() if name.lower() not in gone}
            if status == 303 or (status in (301, 302) and method == "POST"):
                method = "HEAD" if method == "HEAD" else "GET"
                body = b""
                headers = {n: v for n, v in headers.items() if n.lower() != "content-type"}
            if _origin(before).startswith("https:") and not _origin(url).startswith("https:"):
                raise StepFailed("http.redirect", "a redirect leads from https to http")
        raise StepFailed("http.redirect", f"more than {outgoing.max_redirects} redirects")

    @contextlib.asynccontextmanager
    async def _sent(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        try:
            async with self._http().request(
                method, url, headers=headers, data=body or None, allow_redirects=False
            ) as response:
                yield response
        except _Refused as error:
            raise refused(error.host) from None
        except aiohttp.ClientConnectorCertificateError:
            raise StepFailed("http.tls", "its certificate is not trusted") from None
        except aiohttp.ClientSSLError:
            raise StepFailed("http.tls", "no TLS connection came about") from None
        except (aiohttp.InvalidURL, ValueError):
            raise StepFailed("http.url", "this is no URL that can be asked") from None
        except aiohttp.ClientConnectionError as error:
            if isinstance(cause := getattr(error, "os_error", None), _Refused):
                raise refused(cause.host) from None
            raise StepFailed("http.connect", "the host cannot be reached, or closed the connection", retryable=True) from None  # fmt: skip
        except aiohttp.ClientError:
            raise StepFailed(
                "http.invalid", "the answer is no HTTP that can be read", retryable=True
            ) from None

    def _check(self, url: str) -> None:
        """StepFailed for another scheme, a user in the URL, and an address that is no name and not allowed."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise StepFailed("http.url", "this is no URL") from None
        if parts.scheme not in ("http", "https") or not host:
            raise StepFailed("http.url", "a URL begins with https:// or http:// and names a host")
        if parts.username is not None or parts.password is not None:
            raise StepFailed("http.url", "a URL holds no user and no password: a credential is for that")
        with contextlib.suppress(ValueError):
            if not self.allowed.permits(host, host, port):
                raise refused(host)

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(
                limit=AT_ONCE,
                limit_per_host=AT_ONCE_PER_HOST,
                resolver=_resolver(self.allowed),
                use_dns_cache=False,
                ssl=ssl.create_default_context(),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                headers={"User-Agent": "Polis"},
                max_line_size=16_384,
                max_field_size=16_384,
            )
        return self._session


class _Refused(OSError):
    """Where the resolver found nothing that may be connected to."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host


def _resolver(allowed: Allowed) -> Any:
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Checked(AbstractResolver):
        """Gives the addresses that were judged, so no name can lead elsewhere between the two."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            del family
            try:
                found = await allowed.resolve(host, port)
            except StepFailed as failure:
                raise (
                    _Refused(host) if failure.kind == "egress.refused" else OSError(str(failure))
                ) from None
            return [
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=kind,
                    proto=0,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
                for kind, address in found
            ]

        async def close(self) -> None:
            """Nothing is kept."""

    return Checked()


async def _read(response: aiohttp.ClientResponse, most: int) -> Incoming:
    body = bytearray()
    async for part in response.content.iter_chunked(64 * 1024):
        body += part
        if len(body) > most:
            raise StepFailed("http.too_large", f"the answer is over {most:,} bytes (max_bytes)")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Incoming(response.status, headers, bytes(body), str(response.url))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"
