"""Why work on something came to nothing."""

from __future__ import annotations


class Unfit(Exception):
    """`kind` is for programs (`pdf.encrypted`), the text for people."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
