"""Pages and documents: files of this package and of the contract, under a policy that loads nothing from elsewhere."""

from __future__ import annotations

import gzip
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from polis.gateway.finish import COMPRESSED_FROM_BYTES, accepts_gzip, coded, holds
from polis.gateway.http import PROBLEM
from polis.proto import Problem
from polis.proto.documents import DOCUMENTS, document
from polis.proto.problems import MethodNotAllowed, NotFound
from polis.service.wire import encode_problem

if TYPE_CHECKING:
    from starlette.requests import Request

_HTML, _SCRIPT, _STYLE = (f"text/{kind}; charset=utf-8" for kind in ("html", "javascript", "css"))
_FILES = {
    "/": ("index.html", _HTML),
    "/account": ("account.html", _HTML),
    "/administrator": ("administrator.html", _HTML),
    "/answer": ("answer.html", _HTML),
    "/chat": ("chat.html", _HTML),
    "/forgotten-password": ("forgotten-password.html", _HTML),
    "/reset-password": ("reset-password.html", _HTML),
    "/sign-up": ("sign-up.html", _HTML),
    "/docs": ("reference.html", _HTML),
    "/account.js": ("account.js", _SCRIPT),
    "/administrator.js": ("administrator.js", _SCRIPT),
    "/answer.js": ("answer.js", _SCRIPT),
    "/api.js": ("api.js", _SCRIPT),
    "/app.js": ("app.js", _SCRIPT),
    "/forgotten-password.js": ("forgotten-password.js", _SCRIPT),
    "/forms.js": ("forms.js", _SCRIPT),
    "/redoc.js": ("vendor/redoc.standalone.js", _SCRIPT),
    "/redoc.LICENSE.txt": ("vendor/redoc.LICENSE.txt", "text/plain; charset=utf-8"),
    "/reference.js": ("reference.js", _SCRIPT),
    "/reset-password.js": ("reset-password.js", _SCRIPT),
    "/schema-form.js": ("schema-form.js", _SCRIPT),
    "/sign-up.js": ("sign-up.js", _SCRIPT),
    "/chat.css": ("chat.css", _STYLE),
    "/reference.css": ("reference.css", _STYLE),
    "/style.css": ("style.css", _STYLE),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/sample.mbox": ("sample.mbox", "application/mbox"),
}
_SCRIPTS = ("chat", "client/src", "client/generated")
"""Folders of modules, each served by its name; the client is the project's own, as it is published."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_REDOC_STYLES = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
"""The element that Redoc fills rule by rule, which is empty for the policy, and one of fixed text."""
_POLICIES = {
    "chat.html": f"{_POLICY}; media-src 'self'",
    "reference.html": _POLICY.replace("style-src 'self'", f"style-src 'self' {_REDOC_STYLES}").replace(
        "img-src 'self'", "img-src 'self' data:"
    ),
}
_HEADERS = {
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
    "vary": "accept-encoding",
}


class Content(NamedTuple):
    """A file in memory, as it is and compressed. tag: its validator, without quotes."""

    body: bytes
    smaller: bytes
    tag: str


def pages(others: list[Route]) -> Starlette:
    """The pages with what they load, the documents of the whole mesh, and `others`."""
    routes = [*(Route(path, _page) for path in (*_FILES, *_scripts())), Route("/docs/{name}", _document)]
    return Starlette(routes=[*routes, *others], exception_handlers={404: _nothing, 405: _nothing})


@cache
def _scripts() -> dict[str, tuple[str, str]]:
    return {
        f"/{folder}/{file.name}": (f"{folder}/{file.name}", _SCRIPT)
        for folder in _SCRIPTS
        for file in files("polis.gateway").joinpath("pages", folder).iterdir()
        if file.name.endswith(".js")
    }


@cache
def _page_content(name: str) -> Content:
    return _content(files("polis.gateway").joinpath("pages", name).read_bytes())


@cache
def _document_content(name: str) -> Content:
    return _content(document("gateway", name))


def _content(body: bytes) -> Content:
    smaller = gzip.compress(body, mtime=0) if len(body) >= COMPRESSED_FROM_BYTES else b""
    return Content(body, smaller, blake2b(body, digest_size=12).hexdigest())


async def _page(request: Request) -> Response:
    path = request.url.path
    name, media_type = _FILES.get(path) or _scripts()[path]
    return _answer(request, _page_content(name), media_type, _POLICIES.get(name, _POLICY))


async def _document(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in DOCUMENTS:
        raise HTTPException(404)
    return _answer(request, _document_content(name), DOCUMENTS[name])


def _answer(request: Request, content: Content, media_type: str, policy: str = _POLICY) -> Response:
    smaller = content.smaller and accepts_gzip(request.headers.get("accept-encoding", ""))
    tag = coded(content.tag) if smaller else content.tag
    held = holds(request.headers.get("if-none-match", ""), tag, content.tag, coded(content.tag))
    headers = _HEADERS | {"etag": f'"{held or tag}"', "content-security-policy": policy}
    if held is not None:
        return Response(status_code=304, headers=headers)
    if smaller:
        headers["content-encoding"] = "gzip"
    return Response(content.smaller if smaller else content.body, media_type=media_type, headers=headers)


async def _nothing(_: Request, error: Exception) -> Response:
    """Where there is no page, or none that is read in this way."""
    headers = _HEADERS | {"content-security-policy": _POLICY}
    problem: Problem = NotFound()
    said = getattr(error, "headers", None) or {}
    if "Allow" in said:
        allowed = sorted(said["Allow"].split(", "))
        problem = MethodNotAllowed(allowed=tuple(allowed))
        headers["allow"] = ", ".join(allowed)
    return Response(encode_problem(problem), problem.status, headers=headers, media_type=PROBLEM.decode())
