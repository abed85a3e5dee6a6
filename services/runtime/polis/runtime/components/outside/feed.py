"""The component `feed.parse`: RSS (0.9x, 1.0, 2.0) and Atom, as one kind of entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.moments import told
from polis.runtime.components.text.given import the_text
from polis.runtime.components.text.xml import Element, tree
from polis.runtime.components.worker import off_loop

MAX_TEXT = 20_000


class Config(Struct, frozen=True):
    """How much of a feed is kept."""

    max_entries: int = 100
    max_text: int = MAX_TEXT


@component("feed.parse")
async def feed_parse(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Config)
    step.emit("out", await off_loop(_feed, the_text(inputs), config))


def _feed(text: str, config: Config) -> dict[str, object]:
    root = tree(text.lstrip("\ufeff \r\n\t"))
    kind = _name(root)
    if kind == "feed":
        head, entries = root, _all(root, "entry")
    elif kind in ("rss", "RDF"):
        head = next(iter(_all(root, "channel")), root)
        entries = _all(head, "item") or _all(root, "item")
    else:
        raise StepFailed("feed.none", f"this is no feed: it begins with `{kind:.50}`")
    told_of = {
        "title": _said(head, "title"),
        "url": _link(head),
        "text": _said(head, "subtitle", "description"),
    }
    return told_of | {"entries": [_entry(entry, config.max_text) for entry in entries[: config.max_entries]]}


def _entry(entry: Element, most: int) -> dict[str, object]:
    url = _link(entry)
    content = _said(entry, "encoded", "content") or _said(entry, "summary", "description")
    return {
        "id": _said(entry, "id", "guid") or url,
        "title": _said(entry, "title")[:1000],
        "url": url,
        "at": _moment(_said(entry, "published", "pubDate", "updated", "date")),
        "author": _author(entry),
        "html": content[:most],
        "tags": [tag for tag in map(_tag, _all(entry, "category")) if tag][:50],
    }


def _children(element: Element) -> list[Element]:
    return cast("list[Element]", element["children"])


def _attributes(element: Element) -> dict[str, str]:
    return cast("dict[str, str]", element["attributes"])


def _name(element: Element) -> str:
    """Without the prefix of its namespace, which everybody chooses as they like."""
    return str(element["tag"]).rpartition(":")[2]


def _all(element: Element, name: str) -> list[Element]:
    return [child for child in _children(element) if _name(child) == name]


def _said(element: Element, *names: str) -> str:
    """The text of the first of these that has one."""
    return next((text for name in names for child in _all(element, name) if (text := _text(child))), "")


def _text(element: Element) -> str:
    return " ".join(_texts(element)).strip()


def _texts(element: Element) -> Iterator[str]:
    yield str(element["text"])
    for child in _children(element):
        yield from _texts(child)


def _link(element: Element) -> str:
    for link in _all(element, "link"):
        attributes = _attributes(link)
        url = attributes.get("href") or str(link["text"])
        if url and attributes.get("rel", "alternate") == "alternate":
            return url[:2000]
    return ""


def _author(element: Element) -> str:
    for author in (*_all(element, "author"), *_all(element, "creator")):
        if name := _said(author, "name") or _text(author):
            return name[:200]
    return ""


def _tag(element: Element) -> str:
    return (_attributes(element).get("term") or _text(element))[:100]


def _moment(text: str) -> str | None:
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(text)
            return told(at if at.tzinfo is not None else at.replace(tzinfo=UTC))
        except (ValueError, TypeError, OverflowError):
            continue
    return None
