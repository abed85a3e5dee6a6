"""The component `mail.fetch`: new mails of a mailbox on an IMAP server, under TLS.

The standard library's client blocks, so it works in threads of its own: they wait for servers, and compute next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import re
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from polis.runtime.component import Inputs, Step, StepFailed, component, message
from polis.runtime.components.mail.kept import RawMail
from polis.runtime.components.mail.parse import mail_of

AT_ONCE = 4
MAX_MAIL = 5 * 1024 * 1024
"""Bytes of a mail that is fetched; of a larger one only its header is."""
MAX_CHARS = 700_000
"""Characters of all that one step fetches."""
_threads = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="imap")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")


class Config(Struct, frozen=True):
    """The mailbox, who reads it, and which mails."""

    host: str
    user: str
    secret_id: str
    port: int = 993
    tls: Literal["tls", "none"] = "tls"
    folder: Annotated[str, Meta(pattern=r'^[^"\\\r\n\x00-\x1f\x7f-\uffff]{1,200}$')] = "INBOX"
    only: Literal["all", "unseen"] = "all"
    limit: int = 20
    max_text: int = 20_000
    mark_seen: bool = False
    timeout_s: float = 60.0


class Since(Struct, frozen=True):
    """From where on: behind this UID, as the step before told it."""

    after_uid: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    uid_validity: Annotated[int, Meta(ge=0, lt=2**32)] = 0


@component("mail.fetch")
async def mail_fetch(step: Step, inputs: Inputs) -> None:
    config, since = msgspec.convert(step.config, Config), message(inputs, "in", Since)
    allowed = step.reach.egress.allowed
    if config.tls == "none" and not allowed.names_host(config.host, config.port):
        raise StepFailed(
            "mail.uncovered", "without TLS mail is read from a host that POLIS_EGRESS_ALLOW names, only"
        )
    password = await step.reach.secret(config.secret_id, to=(config.host, config.port))
    line = [await step.reach.egress.socket(config.host, config.port)]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(config.timeout_s):
            found = await loop.run_in_executor(_threads, _fetched, line, config, since, password)
    except TimeoutError:
        raise StepFailed("mail.timeout", f"longer than {config.timeout_s:g} s", retryable=True) from None
    finally:
        for opened in line:
            _hang_up(opened)
    step.emit("out", found)


class _Client(imaplib.IMAP4):
    """On a socket that is connected already, and with a bound to what a server may send at once."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened
        super().__init__()

    def _create_socket(self, timeout: float | None) -> socket.socket:
        del timeout
        return self._opened

    def read(self, size: int) -> bytes:
        if size > MAX_MAIL + 1024:
            raise self.abort("more than was asked for")
        return super().read(size)


def _hang_up(opened: socket.socket) -> None:
    """It ends what a thread still waits for."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
    opened.close()


def _fetched(line: list[socket.socket], config: Config, since: Since, password: str) -> dict[str, object]:
    """line: the connection; what covers it comes to it."""
    try:
        line[0].settimeout(config.timeout_s)
        if config.tls == "tls":
            line[0] = ssl.create_default_context().wrap_socket(
                line[0], server_hostname=config.host, do_handshake_on_connect=False
            )
            line[0].do_handshake()  # type: ignore[attr-defined] # it has just become one
        client = _Client(line[0])
        try:
            _login(client, config.user, password)
            return _new(client, config, since)
        finally:
            client.shutdown()
    except imaplib.IMAP4.abort:
        raise StepFailed("mail.connect", "the server closed the connection", retryable=True) from None
    except imaplib.IMAP4.error:
        raise StepFailed("mail.refused", "the server does not do what it is asked") from None
    except ssl.SSLError:
        raise StepFailed("mail.tls", "no TLS connection came about") from None
    except (OSError, ValueError, IndexError):
        raise StepFailed("mail.connect", "the server does not go on", retryable=True) from None


def _login(client: _Client, user: str, password: str) -> None:
    try:
        client.login(user, password)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error:
        raise StepFailed("mail.auth", "the server does not let this user in") from None


def _new(client: _Client, config: Config, since: Since) -> dict[str, object]:
    client.select(f'"{config.folder}"', readonly=not config.mark_seen)
    validity = int((client.response("UIDVALIDITY")[1] or [b"0"])[-1] or 0)
    # Another validity: the numbers of before mean nothing any more (RFC 9051, 2.3.1.1).
    after = since.after_uid if since.uid_validity in (0, validity) else 0
    wanted = ["UID", f"{after + 1}:*", *(["UNSEEN"] if config.only == "unseen" else [])]
    _, answer = client.uid("SEARCH", *wanted)
    uids = sorted(uid for uid in map(int, (answer[0] or b"").split()) if uid > after)[: config.limit]
    mails, left, last = [], MAX_CHARS, after
    for uid, raw in _raws(client, uids):
        mail = mail_of(raw, max_text=config.max_text)
        left -= len(msgspec.json.encode(mail))
        if left < 0:
            break
        mails.append({"uid": uid, **mail})
        last = uid
    if config.mark_seen and mails:
        client.uid("STORE", ",".join(str(mail["uid"]) for mail in mails), "+FLAGS", "(\\Seen)")
    return {"mails": mails, "after_uid": last, "uid_validity": validity}


def _raws(client: _Client, uids: list[int]) -> Iterator[tuple[int, RawMail]]:
    for uid in uids:
        size = _size(client, uid)
        part = "BODY.PEEK[]" if size <= MAX_MAIL else "BODY.PEEK[HEADER]"
        _, answer = client.uid("FETCH", str(uid), f"({part})")
        content = next((part[1] for part in answer if isinstance(part, tuple)), None)
        if content is not None:
            yield uid, RawMail(content=content, size=size, cut=size > MAX_MAIL)


def _size(client: _Client, uid: int) -> int:
    _, answer = client.uid("FETCH", str(uid), "(RFC822.SIZE)")
    match = _SIZE.search(b" ".join(part for part in answer if isinstance(part, bytes)))
    return int(match[1]) if match else 0
