"""Header fields as people read them: RFC 2047 words, raw 8-bit bytes, addresses, ids and dates, however broken."""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import getaddresses, parsedate_to_datetime

MAX_HEADER_CHARS = 16_000
MAX_ADDRESSES = 100
MAX_REFERENCES = 100
MAX_NAME_CHARS = 200

_ENCODED = re.compile(r"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,60})?\?([BbQq])\?([^?]*)\?=")
_BETWEEN = re.compile(r"(\?=)\s+(?==\?[^?\s]{1,120}\?[BbQq]\?)")
_SPACE = re.compile(r"\s+")
_ID = re.compile(r"<\s*([^<>\s]{1,500})\s*>")
_BARE_ID = re.compile(r"[^<>\s,;]{1,250}@[^<>\s,;]{1,250}")
_LAST_FIRST = re.compile(
    r"^([^,]+), *(?! |(?:inc|ltd|llc|gmbh|ag|co|corp|jr|sr|phd|md)\b)([^,]+)$", re.IGNORECASE
)
_Q_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")
_TEXT_CODEC = re.compile(
    r"ascii|utf[-_](?:8|16|32)(?:[-_][bl]e)?|utf[-_]7|iso(?:8859|2022)[-_].*|latin[-_]?1|cp\d+|koi8[-_].|mac[-_].*"
    r"|shift_jis.*|euc_.*|gb(?:k|2312|18030)|big5.*|hz|johab|tis[-_]620|kz1048|ptcp154"
)
_ALIASES = {
    "iso8859-1": "cp1252",  # what is labelled Latin-1 is Windows-1252, as the Encoding Standard of WHATWG has it
    "iso8859-9": "cp1254",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_SELF_CHECKING = ("iso2022", "hz", "utf-7", "utf-16", "utf-32", "gb", "big5", "euc", "cp9", "shift", "johab")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_UNSAFE = dict.fromkeys(
    [
        *range(9),
        11,
        12,
        *range(14, 32),
        127,
        *range(0x80, 0xA0),
        0xFEFF,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ]
)
"""Control characters, and those that turn the direction of writing: no text of a mail needs them, NUL breaks stores."""


def decoded(raw: bytes, charset: str | None) -> str:
    """Bytes as text: UTF-8 when they are (labels lie), else the charset that was named, else Windows-1252.

    A charset in which few byte sequences are valid is believed first: short Chinese can be valid UTF-8 by chance.
    """
    codec = _codec(charset)
    for name in (codec, "utf-8") if codec.startswith(_SELF_CHECKING) else ("utf-8", codec):
        try:
            return clean(raw.decode(name))
        except (UnicodeDecodeError, LookupError):
            continue
    text = raw.decode("utf-8" if codec == "cp1252" else codec, "replace")
    return clean(text if _is_mostly_right(text) else raw.decode("cp1252", "replace"))


def _is_mostly_right(text: str) -> bool:
    """Whether few of the characters beyond ASCII are missing: a cut or damaged text, not one of another charset."""
    return text.count("\ufffd") * 4 < len(_BEYOND_ASCII.findall(text))


def _codec(charset: str | None) -> str:
    """Python's name of a text encoding; Windows-1252 for what is none (`unicode_escape`, `idna`, nonsense)."""
    try:
        name = codecs.lookup((charset or "").strip("\"' ")[:60]).name
    except (LookupError, ValueError):
        return "cp1252"
    return _ALIASES.get(name, name) if _TEXT_CODEC.fullmatch(name) else "cp1252"


def clean(text: str) -> str:
    """Text without control characters and lone surrogates, which neither JSON nor PostgreSQL carries."""
    return text.translate(_UNSAFE).encode("utf-8", "replace").decode("utf-8")


def header(raw: str) -> str:
    """A header's value in one line. `raw` is as the parser gives it, 8-bit bytes as surrogates."""
    value = raw[:MAX_HEADER_CHARS]
    if not value.isascii():
        value = decoded(value.encode("utf-8", "surrogateescape"), None)
    return _SPACE.sub(" ", clean(_words(value))).strip()


def _words(value: str) -> str:
    """RFC 2047 words decoded; neighbours of one charset are joined first, since writers split characters."""
    if "=?" not in value:
        return value
    value = _BETWEEN.sub(r"\1", value)
    pieces: list[str] = []
    pending, charset, at = b"", "", 0
    for word in _ENCODED.finditer(value):
        if word.start() > at or word[1].lower() != charset:
            pieces += [decoded(pending, charset), value[at : word.start()]]
            pending, charset = b"", word[1].lower()
        pending += _word_bytes(word[2], word[3])
        at = word.end()
    return "".join([*pieces, decoded(pending, charset), value[at:]])


def _word_bytes(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return _Q_ESCAPE.sub(lambda code: bytes([int(code[1], 16)]), raw.replace(b"_", b" "))
    try:
        return binascii.a2b_base64(raw.rstrip(b"=") + b"==")
    except binascii.Error:
        return raw


def addresses(raws: Iterable[str]) -> list[dict[str, str]]:
    """`{name, address}` of each, the address in lower case; groups and comments are left out."""
    values = [_unfolded(raw) for raw in raws]
    try:
        pairs = getaddresses(values)[:MAX_ADDRESSES]
    except RecursionError:  # thousands of opened comments
        return []
    return [_address(name, address) for name, address in pairs if address or name]


def _unfolded(raw: str) -> str:
    return _SPACE.sub(" ", raw[:MAX_HEADER_CHARS])


def _address(name: str, address: str) -> dict[str, str]:
    named = header(name)[:MAX_NAME_CHARS].strip("'\" ")
    return {"name": _LAST_FIRST.sub(r"\2 \1", named), "address": header(address)[:320].lower()}


def ids(raws: Iterable[str]) -> list[str]:
    """Message ids without their brackets, each once; the first and the last of very many."""
    found: dict[str, None] = {}
    for raw in raws:
        text = clean(raw[: MAX_HEADER_CHARS * 4])
        found |= dict.fromkeys(_ID.findall(text) or _BARE_ID.findall(text))
    all_ = list(found)
    return all_ if len(all_) <= MAX_REFERENCES else [all_[0], *all_[1 - MAX_REFERENCES :]]


def date(raw: str) -> str | None:
    """An RFC 5322 date as `2026-03-02T09:15:00Z`; None for one that says nothing."""
    try:
        moment = parsedate_to_datetime(clean(raw[:200]))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError, AttributeError):
        return None
    return _iso(moment)


def envelope_date(line: str) -> str | None:
    """The date of an mbox separator: `From name Mon Mar  2 09:15:00 2026`."""
    words = line.split()[2:]
    for form in ("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M %Y"):
        try:
            return _iso(datetime.strptime(" ".join(words[:5]), form).replace(tzinfo=UTC))
        except ValueError:
            continue
    return date(" ".join(words))


def _iso(moment: datetime) -> str | None:
    """Mail is younger than 1970; dates of broken clocks would sort wrongly."""
    if not 1970 <= moment.year <= 2100:
        return None
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
