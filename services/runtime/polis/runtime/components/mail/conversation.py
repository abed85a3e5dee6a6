"""Groups mails into conversations, after Zawinski's "message threading" (JWZ): by ids first, then answers by subject.

Only the groups and their order in time are needed, so ids are united in sets instead of linked into trees; that makes
the loops and phantom parents of broken References harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

MAX_DAYS_BY_SUBJECT = 60
"""An answer without ids belongs to a conversation of its subject that was alive this recently."""
MAX_SAME_SUBJECT = 50
"""Mails of one subject that such an answer is compared with, from the newest on."""
MAX_PREFIXES = 12

# Re, Fwd and what other languages' programs write: de, sv/da/no, nl, fi, it, es/pt, fr, pl, ja/zh.
_PREFIX = re.compile(
    r"\s*(?:(?P<answer>re|aw|antw|antwort|sv|svar|vs|r|rif|res|ref|odp|回复|答复|返信)|(?P<forward>fwd?|wg|vb|vl|i|rv|enc|tr|pd|转发|転送))"
    r"(?:\s*\[\d+\]|\s*\(\d+\)|\^\d+)?\s*[:\uff1a]\s*",
    re.IGNORECASE,
)
_LIST_TAG = re.compile(r"\s*\[[^\]]{1,40}\]\s*(?=\S)")
_SPACE = re.compile(r"\s+")


class Address(Struct, frozen=True):
    """Who, as a mail names them."""

    name: str
    address: str


class File(Struct, frozen=True):
    """An attachment."""

    name: str
    type: str
    size: int


class Mail(Struct, frozen=True, rename={"sender": "from"}):
    """As much of a mail as a conversation needs; `text` is cut down to the writer's own words."""

    id: str
    sender: Address
    subject: str
    date: str | None
    text: str
    message_id: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    to: tuple[Address, ...] = ()
    attachments: tuple[File, ...] = ()

    @property
    def identity(self) -> str:
        return self.message_id or f"{self.id}@"

    @property
    def people(self) -> set[str]:
        return {who.address for who in (self.sender, *self.to) if who.address}


class Subject(Struct, frozen=True):
    """A subject without its prefixes, and whether they say that the mail is an answer."""

    text: str
    answer: bool

    @property
    def key(self) -> str:
        return _SPACE.sub(" ", _LIST_TAG.sub("", self.text, count=1)).strip().casefold()


def subject_of(raw: str) -> Subject:
    text, answer = raw, False
    for _ in range(MAX_PREFIXES):
        prefix = _PREFIX.match(text)
        if prefix is None:
            break
        answer = answer or prefix["answer"] is not None
        text = text[prefix.end() :]
        tag = _LIST_TAG.match(text)
        if tag and _PREFIX.match(text, tag.end()):
            text = text[tag.end() :]
    return Subject(text.strip(), answer)


def conversations(mails: Iterable[Mail]) -> list[list[Mail]]:
    """The conversations, the newest first; the mails of each from the oldest on, undated ones at its end."""
    ordered = sorted(_once(mails), key=lambda mail: mail.date or "9")
    sets = _Sets()
    for mail in ordered:
        sets.unite(mail.identity, (*mail.references, *filter(None, (mail.in_reply_to,))))
    _unite_by_subject(ordered, sets)
    groups: dict[str, list[Mail]] = {}
    for mail in ordered:
        groups.setdefault(sets.root(mail.identity), []).append(mail)
    return sorted(groups.values(), key=last_date, reverse=True)


def last_date(mails: list[Mail]) -> str:
    return max((mail.date for mail in mails if mail.date), default="")


def _once(mails: Iterable[Mail]) -> list[Mail]:
    """A mail that is there twice, sent and received, counts once; the copy that says more stays."""
    best: dict[str, Mail] = {}
    for mail in mails:
        known = best.get(mail.identity)
        if known is None or len(mail.text) > len(known.text):
            best[mail.identity] = mail
    return list(best.values())


def _unite_by_subject(ordered: list[Mail], sets: _Sets) -> None:
    """Answers that name no mail join the newest conversation of their subject that shares a person and is not old."""
    latest: dict[str, list[Mail]] = {}
    for mail in ordered:
        subject = subject_of(mail.subject)
        if not subject.key:
            continue
        known = latest.setdefault(subject.key, [])
        if subject.answer and not mail.references and not mail.in_reply_to:
            partner = next(
                (other for other in reversed(known[-MAX_SAME_SUBJECT:]) if _belongs(mail, other)), None
            )
            if partner is not None:
                sets.unite(mail.identity, (partner.identity,))
        known.append(mail)


def _belongs(answer: Mail, other: Mail) -> bool:
    earlier, later = _moment(other.date), _moment(answer.date)
    near = earlier is None or later is None or later - earlier <= timedelta(days=MAX_DAYS_BY_SUBJECT)
    return near and bool(answer.people & other.people)


def _moment(date: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(date or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Sets:
    """Disjoint sets of ids (union by link to the older root, with path halving)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, id_: str) -> str:
        parent = self._parent
        at = id_
        while (above := parent.setdefault(at, at)) != at:
            parent[at] = parent[above]
            at = above
        return at

    def unite(self, id_: str, others: Iterable[str]) -> None:
        for other in others:
            mine, theirs = self.root(id_), self.root(other)
            if mine != theirs:
                self._parent[mine] = theirs
