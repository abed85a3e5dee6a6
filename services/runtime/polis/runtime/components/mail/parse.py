"""One raw mail as the object that graphs work with. Whatever is broken in it is said in `problems`; nothing raises."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

import msgspec

from polis.runtime.components.mail.body import Body, body
from polis.runtime.components.mail.bulk import bulk_reason
from polis.runtime.components.mail.headers import addresses, date, envelope_date, header, ids
from polis.runtime.components.mail.kept import RawMail

MAX_SUBJECT_CHARS = 500
# compat32 because the headers are decoded here: the default policy parses each one by its full grammar, at some
# milliseconds a mail and with exceptions of its own on malformed ones.
_parser = BytesParser(policy=compat32)


def mail_of(raw: RawMail, *, max_text: int) -> dict[str, object]:
    """The mail object (its JSON Schema stands in mail.read_mailbox.json)."""
    try:
        return _read(raw, max_text)
    except Exception as error:  # noqa: BLE001 - the stdlib's parser raises anything on hostile input; the run goes on
        return _mail(raw, defaultdict(list), Body(), "", [f"unreadable ({type(error).__name__})"])


def _read(raw: RawMail, max_text: int) -> dict[str, object]:
    message = _parser.parsebytes(raw.content)
    fields: dict[str, list[str]] = defaultdict(list)
    for name, value in message.raw_items():
        fields[name.lower()].append(str(value))
    problems = [] if fields else ["no headers"]
    if raw.cut:
        problems.append("cut")
    found, text = _said(message, problems)
    return _mail(raw, fields, found, text[:max_text], problems)


def _said(message: Message, problems: list[str]) -> tuple[Body, str]:
    try:
        found = body(message)
        text = found.text
    except Exception as error:  # noqa: BLE001 - as above; what the headers say is still worth having
        problems.append(f"text unreadable ({type(error).__name__})")
        return Body(), ""
    return found, text


def _mail(
    raw: RawMail, fields: dict[str, list[str]], found: Body, text: str, problems: list[str]
) -> dict[str, object]:
    senders = addresses(fields["from"] or fields["sender"])
    sender = senders[0] if senders else {"name": "", "address": ""}
    own = ids(fields["message-id"])
    reason = bulk_reason(lambda name: header(fields[name][0]) if fields[name] else "", sender["address"])
    return {
        "id": hashlib.sha256(raw.content).hexdigest()[:20],
        "message_id": own[0] if own else None,
        "in_reply_to": next(iter(ids(fields["in-reply-to"])), None),
        "references": ids(fields["references"]),
        "from": sender,
        "to": addresses(fields["to"] + fields["cc"]),
        "subject": header(" ".join(fields["subject"][:1]))[:MAX_SUBJECT_CHARS],
        "date": _date(raw, fields, problems),
        "text": text,
        "attachments": msgspec.to_builtins(found.attachments),
        "bulk": reason is not None,
        "bulk_reason": reason,
        "list_id": next(iter(header(value) for value in fields["list-id"]), None),
        "size": raw.size,
        "problems": problems,
    }


def _date(raw: RawMail, fields: dict[str, list[str]], problems: list[str]) -> str | None:
    """The Date header, else when the first server that we know of received it, else what the mailbox says."""
    written = next(filter(None, map(date, fields["date"][:1])), None)
    if written is not None:
        return written
    problems.append("date unreadable" if fields["date"] else "no date")
    received = (date(value.rpartition(";")[2]) for value in reversed(fields["received"]))
    return next(filter(None, received), None) or envelope_date(raw.envelope)
