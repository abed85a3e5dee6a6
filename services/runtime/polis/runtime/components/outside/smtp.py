"""The component `mail.send`: one mail by an SMTP server of the org's, under TLS."""

from __future__ import annotations

import hashlib
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from polis.runtime.component import Inputs, Step, StepFailed, component, message
from polis.runtime.components.files import stored
from polis.runtime.components.worker import off_loop

MAX_RECIPIENTS = 50
MAX_BYTES = 20 * 1024 * 1024
_LATER = range(400, 500)
Address = Annotated[
    str, Meta(max_length=320, pattern=r"^[^@\s<>,;:\x00-\x1f\x7f]+@[^@\s<>,;:\x00-\x1f\x7f]+$")
]
Line = Annotated[str, Meta(max_length=500, pattern=r"^[^\r\n\x00]*$")]


class Config(Struct, frozen=True):
    """The server, and as whom it is sent."""

    host: str
    sender: Address
    port: int = 465
    tls: Literal["tls", "starttls", "none"] = "tls"
    user: str = ""
    secret_id: str = ""
    sender_name: Line = ""
    timeout_s: float = 30.0


class Mail(Struct, frozen=True):
    """What is sent."""

    to: tuple[Address, ...]
    subject: Line
    text: Annotated[str, Meta(max_length=1_000_000)] = ""
    html: Annotated[str, Meta(max_length=1_000_000)] = ""
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: Address | None = None
    in_reply_to: Annotated[str, Meta(max_length=500, pattern=r"^[^\s<>]*$")] = ""
    attachments: Annotated[tuple[stored.File, ...], Meta(max_length=20)] = ()

    @property
    def recipients(self) -> list[str]:
        return list(dict.fromkeys([*self.to, *self.cc, *self.bcc]))


@component("mail.send")
async def mail_send(step: Step, inputs: Inputs) -> None:
    config, mail = msgspec.convert(step.config, Config), message(inputs, "in", Mail)
    if not 0 < len(mail.recipients) <= MAX_RECIPIENTS:
        raise StepFailed("mail.recipients", f"a mail goes to 1 to {MAX_RECIPIENTS} addresses")
    password = ""
    if config.secret_id:
        password = await step.reach.secret(config.secret_id, to=(config.host, config.port))
    files = [(file, await stored.whole(step, file, MAX_BYTES)) for file in mail.attachments]
    if sum(len(content) for _, content in files) > MAX_BYTES:
        raise stored.too_large(MAX_BYTES)
    # The same at every attempt: a server or a reader that gets it twice can tell.
    name = hashlib.sha256(step.key.encode()).hexdigest()[:32]
    written = await off_loop(_written, config, mail, files, name)
    refused = await _sent(step, config, mail, written, password)
    step.emit("out", {"message_id": f"{name}@{_domain(config)}", "refused": sorted(refused)})


def _domain(config: Config) -> str:
    return config.sender.rpartition("@")[2]


def _written(config: Config, mail: Mail, files: list[tuple[stored.File, bytes]], name: str) -> EmailMessage:
    from datetime import UTC, datetime
    from email.headerregistry import Address as Named

    made = EmailMessage(policy=SMTP_POLICY)
    try:
        made["From"] = Named(config.sender_name, addr_spec=config.sender)
        made["To"] = ", ".join(mail.to)
        if mail.cc:
            made["Cc"] = ", ".join(mail.cc)
        if mail.reply_to:
            made["Reply-To"] = mail.reply_to
        if mail.in_reply_to:
            made["In-Reply-To"] = made["References"] = f"<{mail.in_reply_to}>"
        made["Subject"] = mail.subject
        made["Date"] = format_datetime(datetime.now(UTC))
        made["Message-ID"] = f"<{name}@{_domain(config)}>"
        made.set_content(mail.text)
        if mail.html:
            made.add_alternative(mail.html, subtype="html")
        for file, content in files:
            kind, _, sub = (file.media_type or "application/octet-stream").partition("/")
            made.add_attachment(
                content, maintype=kind, subtype=sub or "octet-stream", filename=file.name or "file"
            )
    except (ValueError, IndexError, LookupError, UnicodeError) as error:
        raise StepFailed("mail.invalid", f"no mail can be made of it ({type(error).__name__})") from None
    return made


async def _sent(step: Step, config: Config, mail: Mail, written: EmailMessage, password: str) -> list[str]:
    """Who was refused among the recipients, as long as somebody was not."""
    import aiosmtplib

    allowed = step.reach.egress.allowed
    if config.tls == "none" and not allowed.names_host(config.host, config.port):
        raise StepFailed(
            "mail.uncovered", "without TLS mail goes to a host that POLIS_EGRESS_ALLOW names, only"
        )
    socket = await step.reach.egress.socket(config.host, config.port)
    server = aiosmtplib.SMTP(
        hostname=config.host,
        port=None,
        sock=socket,
        use_tls=config.tls == "tls",
        start_tls=config.tls == "starttls",
        local_hostname=_domain(config),
        timeout=config.timeout_s,
    )
    try:
        async with server:
            if config.user:
                await server.login(config.user, password)
            errors, _ = await server.send_message(written, sender=config.sender, recipients=mail.recipients)
            return list(errors)
    except aiosmtplib.SMTPAuthenticationError:
        raise StepFailed("mail.auth", "the server does not let this user in") from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        later = any(each.code in _LATER for each in error.recipients)
        raise StepFailed("mail.refused", "the server takes none of the recipients", retryable=later) from None
    except aiosmtplib.SMTPResponseException as error:
        raise StepFailed(
            "mail.refused", f"the server says {error.code}", retryable=error.code in _LATER
        ) from None
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        raise StepFailed("mail.connect", f"the server does not go on ({type(error).__name__})", retryable=True) from None  # fmt: skip
    finally:
        socket.close()
