"""Makes mailboxes of any size, the same for the same seed: conversations, newsletters, attachments, and some broken mails."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime
from random import Random

PEOPLE = (
    ("Anna Lindner", "anna@example.com"),
    ("Tom Baker", "tom@example.com"),
    ("Priya Nair", "priya@example.com"),
    ("Jürgen Groß", "juergen@example.org"),
    ("Marie Dupont", "marie@example.net"),
    ("田中 健", "tanaka@example.net"),
)
TOPICS = (
    "delivery",
    "invoice",
    "catalogue",
    "contract",
    "workshop",
    "brakes",
    "insurance",
    "trade fair",
    "hiring",
)
SENTENCES = (
    "The {topic} has to be settled before Friday {day} March, otherwise we lose our place.",
    "Can you confirm the {topic} for order {number} until tomorrow noon?",
    "We agreed on {number} EUR for the {topic}, including freight.",
    "I looked at the {topic} again and two points are still open: the price and the date.",
    "Bitte prüfen Sie die Unterlagen zum Thema {topic} bis zum {day}. März.",
    "Le dossier {topic} est prêt, il manque seulement votre signature.",
    "Nobody has answered the question about {number} yet, so I will call them on the {day}th.",
    "If nothing else comes up, the {topic} is done from my side.",
)
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
BULK_SHARE, HTML_SHARE, ATTACHMENT_SHARE, BROKEN_SHARE, ANSWER_SHARE = 0.3, 0.2, 0.1, 0.02, 0.6


def mbox(count: int, *, seed: int = 1, attachment_bytes: int = 60_000) -> Iterator[bytes]:
    """The mails of an mbox one by one, about 5 KB each on average with small attachments; join them for the file."""
    random = Random(seed)  # noqa: S311 - a repeatable mailbox, no secret
    conversations: list[tuple[str, list[str]]] = []
    for number in range(count):
        sent = START + timedelta(minutes=20 * number)
        envelope = f"From sender@example.org {sent:%a %b %e %H:%M:%S %Y}\n"
        mail = _bulk(random, number, sent) if random.random() < BULK_SHARE else None
        mail = mail or _personal(random, number, sent, conversations, attachment_bytes)
        yield envelope.encode() + mail.replace("\nFrom ", "\n>From ").encode() + b"\n"


def _bulk(random: Random, number: int, sent: datetime) -> str:
    words = " ".join(f"Offer {n} is {random.randint(5, 50)} % off." for n in range(40))
    return (
        f"From: News <news{number % 7}@lists.example.org>\nTo: anna@example.com\nSubject: Offers of the week {number}\n"
        f"Date: {format_datetime(sent)}\nMessage-ID: <bulk-{number}@lists.example.org>\n"
        f"List-Unsubscribe: <https://lists.example.org/u>\nContent-Type: text/html; charset=utf-8\n\n"
        f"<html><body><table><tr><td>{words}</td></tr></table></body></html>\n"
    )


def _personal(
    random: Random,
    number: int,
    sent: datetime,
    conversations: list[tuple[str, list[str]]],
    attachment_bytes: int,
) -> str:
    topic = random.choice(TOPICS)
    answers = bool(conversations) and random.random() < ANSWER_SHARE
    if not answers:
        conversations.append((f"{topic.capitalize()} {random.randint(100, 999)}", []))
    subject, ids = random.choice(conversations[-40:]) if answers else conversations[-1]
    text = _text(random, topic) + (_quote(random, topic) if ids else "")
    head = _head(random, number, sent, f"Re: {subject}" if ids else subject, ids)
    ids.append(f"mail-{number}@example.com")
    return head + _body(random, text, attachment_bytes)


def _head(random: Random, number: int, sent: datetime, subject: str, ids: list[str]) -> str:
    (name, address), (other, to) = random.sample(PEOPLE, 2)
    broken = random.random() < BROKEN_SHARE
    references = (
        f"In-Reply-To: <{ids[-1]}>\nReferences: {' '.join(f'<{i}>' for i in ids[-8:])}\n" if ids else ""
    )
    return (
        f"From: {Header(name, 'utf-8').encode()} <{address}>\nTo: {Header(other, 'utf-8').encode()} <{to}>\n"
        f"Subject: {Header(subject, 'utf-8').encode()}\nDate: {'not a date' if broken else format_datetime(sent)}\n"
        f"Message-ID: <mail-{number}@example.com>\n{references}MIME-Version: 1.0\n"
    )


def _text(random: Random, topic: str) -> str:
    lines = [
        line.format(topic=topic, day=random.randint(2, 28), number=random.randint(100, 9_999))
        for line in random.choices(SENTENCES, k=random.randint(2, 14))
    ]
    return "Hello,\n\n" + "\n".join(lines) + "\n\nBest regards,\nSomebody\n"


def _quote(random: Random, topic: str) -> str:
    quoted = "".join(f"> {line}\n" for line in _text(random, topic).splitlines() * random.randint(1, 4))
    return f"\nOn Mon, Jan 5, 2026 at 9:00 AM Anna <anna@example.com> wrote:\n{quoted}"


def _body(random: Random, text: str, attachment_bytes: int) -> str:
    if random.random() < ATTACHMENT_SHARE:
        content = base64.encodebytes(random.randbytes(attachment_bytes)).decode()
        return (
            "Content-Type: multipart/mixed; boundary=mixed\n\n--mixed\nContent-Type: text/plain; charset=utf-8\n\n"
            f"{text}\n--mixed\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n"
            f'Content-Disposition: attachment; filename="file.pdf"\n\n{content}--mixed--\n'
        )
    if random.random() < HTML_SHARE:
        html = "".join(f"<p>{line}</p>" for line in text.splitlines())
        return f"Content-Type: text/html; charset=utf-8\n\n<html><body>{html}</body></html>\n"
    return f"Content-Type: text/plain; charset=utf-8\n\n{text}"
