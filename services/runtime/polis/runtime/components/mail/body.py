"""What a mail says and what is attached to it, of its MIME parts (RFC 2045-2049, format=flowed of RFC 3676)."""

from __future__ import annotations

import re
from email.message import Message

from msgspec import Struct, field

from polis.runtime.components.mail.headers import decoded, header
from polis.runtime.components.mail.html_text import MAX_HTML_CHARS, text_of
from polis.runtime.components.mail.kept import base64_size

MAX_PARTS = 500
MAX_DEPTH = 30
MAX_ATTACHMENTS = 50
MAX_PLAIN_BYTES = 400_000

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")
_SEE_HTML = 60
"""A plain part shorter than this, beside HTML that says much more, only says that there is HTML."""


class Attachment(Struct, frozen=True):
    """A file that came with a mail, without its content. `size` is in bytes, decoded."""

    name: str
    type: str
    size: int


class Body(Struct):
    """The text of a mail, and the names, types and sizes of its files.

    alternatives: whether HTML says the same as the plain text, rather than something more.
    """

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    parts: int = 0
    alternatives: bool = False

    @property
    def text(self) -> str:
        plain = "\n\n".join(self.plain).strip()
        if not self.html or len(plain) >= _SEE_HTML:
            return plain
        seen = "\n\n".join(text_of(html) for html in self.html).strip()
        return seen if len(seen) > 2 * len(plain) else plain


def body(message: Message) -> Body:
    found = Body()
    _take(message, found, depth=0)
    return found


def _take(part: Message, found: Body, depth: int) -> None:
    found.parts += 1
    if found.parts > MAX_PARTS or depth > MAX_DEPTH:
        return
    kind = part.get_content_type()
    if kind == "message/rfc822":
        _attach(part, found, _forwarded_name(part))
    elif kind == "multipart/alternative":
        _take_alternative(_children(part), found, depth)
    elif part.is_multipart():
        for child in _children(part):
            _take(child, found, depth + 1)
    elif kind in ("text/plain", "text/html") and not _is_file(part):
        _read(part, kind, found)
    elif not kind.startswith("multipart/"):
        _attach(part, found, header(part.get_filename() or ""))


def _take_alternative(children: list[Message], found: Body, depth: int) -> None:
    held = Body(alternatives=True)
    for child in children:
        _take(child, held, depth + 1)
    found.parts += held.parts
    found.attachments += held.attachments
    if held.text:
        found.plain.append(held.text)


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _read(part: Message, kind: str, found: Body) -> None:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes) or not raw.strip():
        return
    charset = part.get_content_charset()
    if kind == "text/html":
        named = _META_CHARSET.search(raw[:2048])
        charset = charset or (named[1].decode("ascii") if named else None)
        html = decoded(raw[:MAX_HTML_CHARS], charset)
        if found.alternatives:
            found.html.append(html)
        else:
            found.plain.append(text_of(html))
        return
    text = decoded(raw[:MAX_PLAIN_BYTES], charset).replace("\r\n", "\n").replace("\r", "\n")
    if str(part.get_param("format", "")).lower() == "flowed":
        text = unflowed(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
    found.plain.append(text.strip("\n"))


def unflowed(text: str, *, delete_space: bool = False) -> str:
    """Paragraphs of format=flowed on one line each (RFC 3676 section 4); quote marks stay."""
    lines: list[str] = []
    open_depth = -1
    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        words = bare.removeprefix(" ")
        flows = words.endswith(" ") and words != "-- "
        words = words[:-1] if flows and delete_space else words
        if depth == open_depth and words != "-- ":
            lines[-1] += words
        else:
            lines.append(f"{'>' * depth} {words}" if depth else words)
        open_depth = depth if flows else -1
    return "\n".join(lines)


def _attach(part: Message, found: Body, name: str) -> None:
    if len(found.attachments) < MAX_ATTACHMENTS:
        kind = part.get_content_type()
        kind = kind if _TYPE.fullmatch(kind) else "application/octet-stream"
        found.attachments.append(Attachment((name or "unnamed")[:255], kind, _size(part)))


def _forwarded_name(part: Message) -> str:
    inner = _children(part)
    subject = header(str(inner[0].get("subject", ""))) if inner else ""
    return header(part.get_filename() or "") or (f"{subject}.eml" if subject else "message.eml")


def _size(part: Message) -> int:
    """Bytes of the content; of base64, the usual form, counted without decoding it."""
    payload = part.get_payload()
    if isinstance(payload, list):
        return sum(_written(child) for child in _children(part))
    if not isinstance(payload, str):
        return 0
    if str(part.get("content-transfer-encoding", "")).strip().lower() != "base64":
        raw = part.get_payload(decode=True)
        return len(raw) if isinstance(raw, bytes) else len(payload)
    return base64_size(payload)


def _written(part: Message) -> int:
    """About how many bytes a mail takes as it came; writing it out again would raise where it is malformed."""
    payload = part.get_payload()
    inside = len(payload) if isinstance(payload, str) else sum(_written(child) for child in _children(part))
    return sum(len(name) + len(str(value)) + 3 for name, value in part.raw_items()) + 1 + inside
