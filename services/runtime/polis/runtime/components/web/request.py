"""The component `http.request`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from polis.graph.faults import Malformed
from polis.graph.formats.names import refuse_header
from polis.runtime.component import Inputs, Step, StepFailed, component, message
from polis.runtime.egress.client import Incoming, Outgoing
from polis.runtime.egress.urls import place, refuse_odd, refuse_status

MAX_BODY = 20 * 1024 * 1024
MAX_HEADERS = 100
_HIDDEN = "[secret]"
Query = dict[str, str | list[str]]


class Credential(Struct, frozen=True, rename={"use": "as"}):
    """A secret of the org, and where in a request it stands."""

    secret_id: str
    use: Literal["bearer", "basic", "header"] = "bearer"
    name: str = "Authorization"
    user: str = ""


class Config(Struct, frozen=True):
    """What every request of the node has in common."""

    url: str = ""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: dict[str, str] = {}
    query: Query = {}
    credential: Credential | None = None
    answer: Literal["auto", "json", "text", "base64", "file"] = "auto"
    on_status: Literal["error", "emit"] = "error"
    timeout_s: float = 30.0
    max_bytes: int = 512 * 1024
    max_redirects: int = 5
    idempotency_key: bool = True


class File(Struct, frozen=True):
    """A file of the org."""

    artifact_id: str


class Asked(Struct, frozen=True):
    """What a message adds: where below the URL, and what is sent."""

    url: str = ""
    path: str = ""
    query: Query = {}
    headers: dict[str, str] = {}
    json: object = msgspec.UNSET
    form: dict[str, str | list[str]] | None = None
    text: str | None = None
    file: File | None = None


def _scopes(config: Mapping[str, object]) -> tuple[str, ...]:
    return ("catalog:write",) if config.get("answer") == "file" else ()


@component("http.request", needs=_scopes)
async def http_request(step: Step, inputs: Inputs) -> None:
    config, asked = msgspec.convert(step.config, Config), message(inputs, "in", Asked)
    secret = ""
    if config.credential is not None:
        # To the node's own URL alone: no message leads to another host, and no redirect takes it along.
        secret = await step.reach.secret(config.credential.secret_id, to=place(config.url))
    outgoing = await _outgoing(step, config, asked, secret)
    incoming = await step.reach.egress.request(outgoing)
    if config.on_status == "error":
        refuse_status(incoming.status)
    step.emit("out", await _told(step, config, incoming, _hidden(config.credential, secret)))


async def _outgoing(step: Step, config: Config, asked: Asked, secret: str) -> Outgoing:
    body, media_type = await _body(step, asked)
    headers = _headers(config, asked)
    if media_type:
        headers.setdefault("content-type", media_type)
    if config.idempotency_key and config.method not in ("GET", "HEAD", "OPTIONS"):
        headers.setdefault("idempotency-key", step.key)
    url = _url(config, asked)
    credential = config.credential
    if credential is not None:
        name = credential.name.lower() if credential.use == "header" else "authorization"
        _demand_cover(step, url)
        headers[name] = _shown(credential, secret)
    return Outgoing(
        method=config.method,
        url=url,
        headers=headers,
        body=body,
        timeout_s=config.timeout_s,
        max_bytes=config.max_bytes,
        max_redirects=config.max_redirects,
        secret=frozenset({credential.name.lower()}) if credential else frozenset(),
    )


def _demand_cover(step: Step, url: str) -> None:
    """A secret travels under TLS, or to a host that the operator's own setting names."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not step.reach.egress.allowed.names_host(
        parts.hostname or "", parts.port or 80
    ):
        raise StepFailed("http.uncovered", "a credential goes over https")


def _shown(credential: Credential, secret: str) -> str:
    if any(char in secret for char in "\r\n\0"):
        raise StepFailed("http.credential", "the secret is none that a header can hold")
    if credential.use == "basic":
        return "Basic " + base64.b64encode(f"{credential.user}:{secret}".encode()).decode()
    return f"Bearer {secret}" if credential.use == "bearer" else secret


def _url(config: Config, asked: Asked) -> str:
    """Where it goes: the node's own URL, with a path and a query behind it that cannot lead to another host."""
    if config.url and asked.url:
        raise StepFailed("http.url", "the node has a URL of its own: a message gives `path` and `query` only")
    url = config.url or asked.url
    refuse_odd(url)
    parts = urlsplit(url)
    segments = [quote(segment, safe="") for segment in asked.path.strip("/").split("/") if segment]
    if any(segment in (".", "..") for segment in segments):
        raise StepFailed("http.url", "a path leads downwards only")
    path = "/".join([parts.path.rstrip("/"), *segments]) if segments else parts.path
    fields: list[tuple[str, object]] = list(parse_qsl(parts.query, keep_blank_values=True))
    fields += [*config.query.items(), *asked.query.items()]
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(fields, doseq=True), ""))


def _headers(config: Config, asked: Asked) -> dict[str, str]:
    headers = {name.lower(): value for name, value in (*config.headers.items(), *asked.headers.items())}
    if len(headers) > MAX_HEADERS:
        raise StepFailed("http.headers", f"more than {MAX_HEADERS} headers")
    for name, value in headers.items():
        try:
            refuse_header(name, value)
        except Malformed as error:
            raise StepFailed("http.headers", f"`{name:.100}`: {error}") from None
    return headers


async def _body(step: Step, asked: Asked) -> tuple[bytes, str]:
    given = [
        asked.json is not msgspec.UNSET,
        asked.form is not None,
        asked.text is not None,
        asked.file is not None,
    ]
    if sum(given) > 1:
        raise StepFailed("http.body", "a body is one of `json`, `form`, `text` and `file`")
    if asked.json is not msgspec.UNSET:
        body, kind = msgspec.json.encode(asked.json), "application/json"
    elif asked.form is not None:
        body, kind = urlencode(asked.form, doseq=True).encode(), "application/x-www-form-urlencoded"
    elif asked.text is not None:
        body, kind = asked.text.encode("utf-8", "replace"), "text/plain; charset=utf-8"
    elif asked.file is not None:
        body, kind = await whole(step, asked.file.artifact_id, MAX_BODY), "application/octet-stream"
    else:
        return b"", ""
    if len(body) > MAX_BODY:
        raise StepFailed("http.body", f"a body of {len(body):,} bytes; {MAX_BODY:,} are the most")
    return body, kind


async def whole(step: Step, artifact_id: str, most: int) -> bytes:
    """The bytes of a file; StepFailed `file.too_large` beyond the bound."""
    content = bytearray()
    async for part in step.artifact(artifact_id):
        content += part
        if len(content) > most:
            raise StepFailed("file.too_large", f"the file is over {most:,} bytes")
    return bytes(content)


async def _told(step: Step, config: Config, incoming: Incoming, secret: tuple[str, ...]) -> dict[str, object]:
    """The answer as a message. A host that gives a secret back does not bring it into the journal."""
    headers = {
        name: _without(value, secret) for name, value in incoming.headers.items() if name != "set-cookie"
    }
    told: dict[str, object] = {
        "status": incoming.status,
        "headers": headers,
        "url": _without(incoming.url, secret),
    }
    media_type = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    if config.answer == "file":
        content = incoming.body
        _refuse(content, secret)
        name = urlsplit(incoming.url).path.rpartition("/")[2][:100] or "answer"
        safe = re.sub(r"[^\w.-]", "_", name).strip(".") or "answer"
        return told | {"file": await step.reach.store(step.key, safe, _known(media_type), content)}
    return told | {"body": _value(config, incoming, media_type, secret)}


def _value(config: Config, incoming: Incoming, media_type: str, secret: tuple[str, ...]) -> object:
    if config.answer == "base64":
        _refuse(incoming.body, secret)
        return base64.b64encode(incoming.body).decode()
    text = _without(_decoded(incoming), secret)
    is_json = media_type == "application/json" or media_type.endswith("+json")
    if config.answer == "json" or (config.answer == "auto" and is_json and text):
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise StepFailed("http.no_json", "the answer is no JSON") from None
    return text


def _decoded(incoming: Incoming) -> str:
    match = re.search(r"charset=\"?([\w-]{1,40})", incoming.headers.get("content-type", ""), re.IGNORECASE)
    try:
        return incoming.body.decode(match[1] if match else "utf-8", "replace")
    except LookupError:
        return incoming.body.decode("utf-8", "replace")


def _hidden(credential: Credential | None, secret: str) -> tuple[str, ...]:
    """What must not come back: the secret, and what it looks like in its header."""
    if credential is None or not secret:
        return ()
    return (_shown(credential, secret).rpartition(" ")[2], secret)


def _without(text: str, secret: tuple[str, ...]) -> str:
    for hidden in secret:
        text = text.replace(hidden, _HIDDEN)
    return text


def _refuse(content: bytes, secret: tuple[str, ...]) -> None:
    if any(hidden.encode() in content for hidden in secret):
        raise StepFailed("http.secret", "the answer holds the secret")


def _known(media_type: str) -> str:
    return (
        media_type
        if re.fullmatch(r"[a-z0-9][\w!#$&^.+-]*/[a-z0-9][\w!#$&^.+-]*", media_type)
        else "application/octet-stream"
    )
