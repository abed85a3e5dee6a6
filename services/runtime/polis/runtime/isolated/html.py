"""HTML: its text, elements of it, its links, and what of it cannot do harm."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from polis.runtime.isolated.unfit import Unfit

MAX_FOUND = 10_000
MAX_RESULT = 4_000_000
"""Characters of all that was found: nested elements are in the texts of those around them."""
_UNSEEN = ("script", "style", "template", "noscript", "head", "svg", "iframe", "object")
SCHEMES = ("http", "https", "mailto", "tel", "ftp")


def clean(html: str) -> str:
    """The same without scripts, styles, forms, frames, event attributes, and links other than to the web and mail."""
    import nh3

    return nh3.clean(html, url_schemes=set(SCHEMES), link_rel="noopener noreferrer nofollow")


def text(html: str) -> str:
    """What a page shows, line by line."""
    tree = LexborHTMLParser(html)
    tree.strip_tags(list(_UNSEEN))
    body = tree.body
    if body is None:
        return ""
    lines = (" ".join(line.split()) for line in body.text(separator="\n").splitlines())
    return "\n".join(line for line in lines if line)


def select(
    html: str,
    selector: str,
    attributes: list[str],
    with_html: bool,  # noqa: FBT001 - travels by its place
    most: int,
) -> list[dict[str, object]]:
    """What a CSS selector finds."""
    results, left = [], MAX_RESULT
    for node in _bounded(found(html, selector), most):
        told: dict[str, object] = {"tag": node.tag, "text": _line(node)}
        if attributes:
            told["attributes"] = {name: node.attributes.get(name) for name in attributes}
        if with_html:
            told["html"] = node.html or ""
        left -= len(str(told["text"])) + len(str(told.get("html", "")))
        if left < 0:
            raise Unfit("html.too_large", f"more than {MAX_RESULT:,} characters were found")
        results.append(told)
    return results


def found(html: str, selector: str) -> list[LexborNode]:
    """The elements; Unfit for what is no selector."""
    try:
        return LexborHTMLParser(html).css(selector)
    except (SelectolaxError, ValueError):
        raise Unfit("html.selector", "this is no CSS selector") from None


def links(html: str, base: str, most: int) -> list[dict[str, str]]:
    """Where a page leads, each once."""
    results: dict[str, dict[str, str]] = {}
    tree = LexborHTMLParser(html)
    own = tree.css_first("base[href]")
    start = _joined(base, (own.attributes.get("href") if own else "") or "")
    for node in _bounded(tree.css("a[href]"), MAX_FOUND):
        url = _joined(start, (node.attributes.get("href") or "").strip())
        if _scheme(url) in SCHEMES or (not _scheme(url) and not base):
            results.setdefault(url, {"url": url, "text": _line(node)[:1000]})
    if len(results) > most:
        raise Unfit("html.too_many", f"more than {most:,} links (max_items)")
    return list(results.values())


def _bounded(nodes: list[LexborNode], most: int) -> list[LexborNode]:
    if len(nodes) > most:
        raise Unfit("html.too_many", f"more than {most:,} elements (max_items)")
    return nodes


def _line(node: LexborNode) -> str:
    return " ".join(node.text(separator=" ").split())


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:
        return ""


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        return "invalid"
