"""Components that read and write texts, and the formats that texts are in."""

from polis.runtime.components.text import (
    csv,
    encodings,
    hypertext,
    jsons,
    markdown,
    regex,
    urls,
    xml,
    yaml,
)

__all__ = ["csv", "encodings", "hypertext", "jsons", "markdown", "regex", "urls", "xml", "yaml"]
