"""The text of an HTML mail: what a reader sees, in lines; quoted passages as lines with `> `."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from html import unescape

from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_HTML_CHARS = 1_000_000
MAX_NODES = 200_000
MAX_QUOTES = 5
MAX_DEPTH = 1_000
"""Elements in elements that are parsed; the parser's time grows with the square of the depth (84 s for 200,000)."""

_NOT_SEEN = frozenset(
    [
        "head",
        "title",
        "style",
        "script",
        "noscript",
        "template",
        "svg",
        "object",
        "iframe",
        "select",
        "textarea",
        "map",
        "meta",
        "link",
    ]
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "body",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "footer",
        "form",
        "header",
        "html",
        "li",
        "main",
        "nav",
        "ol",
        "section",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "ul",
    ]
)
_PARAGRAPHS = frozenset(["blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "p", "pre"])
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|font-size\s*:\s*0(?:px|pt|;|$)",
    re.IGNORECASE,
)
_SPACE = re.compile(r"[ \t\r\n\f\xa0\u200b\u200c\u200d\u034f\xad]+")
_NESTING = re.compile(
    r"<(/?)(?!(?:p|li|td|th|tr|br|hr|img|meta|link|input|option|dt|dd|col|area|wbr)\b)[a-z]", re.IGNORECASE
)
_TAG = re.compile(r"<[^<>]*>")
_GAPS = re.compile(r"\n{3,}")


def text_of(html: str) -> str:
    """The visible text. Never raises: any text is HTML of some kind."""
    html = html[:MAX_HTML_CHARS]
    if _depth(html) > MAX_DEPTH:
        return unescape(_TAG.sub(" ", html)).strip()
    root = LexborHTMLParser(html).root
    if root is None:
        return ""
    lines = _Lines()
    _walk(root, lines)
    return lines.text()


def _depth(html: str) -> int:
    """The deepest nesting there may be, not counting elements that end by themselves."""
    depth = deepest = 0
    for tag in _NESTING.finditer(html):
        depth = max(0, depth - 1) if tag[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


class _Lines:
    """Lines of text as a browser breaks them: a block ends a line, `br` makes one, a paragraph leaves a gap."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._words: list[str] = []
        self._quotes = 0

    def write(self, words: str) -> None:
        self._words.append(words)

    def new_line(self) -> None:
        line = _SPACE.sub(" ", "".join(self._words)).strip()
        self._words.clear()
        self._lines.append(f"{'> ' * min(self._quotes, MAX_QUOTES)}{line}" if line else "")

    def end_block(self) -> None:
        if any(not words.isspace() for words in self._words):
            self.new_line()

    def end_paragraph(self) -> None:
        self.end_block()
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def quote(self, change: int) -> None:
        self.end_paragraph()
        self._quotes += change

    def text(self) -> str:
        self.end_block()
        return _GAPS.sub("\n\n", "\n".join(self._lines)).strip()


def _walk(root: LexborNode, lines: _Lines) -> None:
    """Depth first with a stack of our own: mail nests deeper than Python does."""
    stack: list[LexborNode | Callable[[], None]] = [root]
    for _ in range(MAX_NODES):
        if not stack:
            return
        node = stack.pop()
        if not isinstance(node, LexborNode):
            node()
        elif node.is_text_node:
            lines.write(node.text_content or "")
        elif node.is_element_node and not _is_hidden(node):
            after = _begin(node, lines)
            if after is not None:
                stack.append(after)
            stack.extend(reversed(list(node.iter(include_text=True))))


def _is_hidden(node: LexborNode) -> bool:
    if node.tag in _NOT_SEEN:
        return True
    attributes = node.attributes
    return "hidden" in attributes or bool(_HIDDEN.search(attributes.get("style") or ""))


def _begin(node: LexborNode, lines: _Lines) -> Callable[[], None] | None:
    """What an element does to the line; the answer is what its end does."""
    tag = node.tag or ""
    if tag == "br":
        lines.new_line()
        return None
    if tag == "blockquote":
        lines.quote(1)
        return partial(lines.quote, -1)
    if tag in ("td", "th"):
        return partial(lines.write, " ")
    if tag in _PARAGRAPHS:
        lines.end_paragraph()
        return lines.end_paragraph
    if tag in _BLOCKS:
        lines.end_block()
        if tag == "li":
            lines.write("- ")
        return lines.end_block
    return None
