"""The text of a PDF, page by page."""

from __future__ import annotations

import io
import logging

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from polis.runtime.isolated.unfit import Unfit


def text(content: bytes, most_pages: int, most_chars: int) -> dict[str, object]:
    """`pages`: how many it has; `texts`: of the first ones, cut at the bound; `cut`: whether something is missing."""
    logging.disable()
    reader = _opened(content)
    try:
        total = len(reader.pages)
        texts, left = [], most_chars
        for page in reader.pages[:most_pages]:
            said = _clean(page.extract_text())
            texts.append(said[:left])
            left -= len(said)
            if left < 0:
                break
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError) as error:
        # A damaged file breaks the library anywhere.
        raise Unfit("pdf.damaged", f"a page cannot be read ({type(error).__name__})") from None
    return {"pages": total, "texts": texts, "cut": left < 0 or total > len(texts)}


def _opened(content: bytes) -> PdfReader:
    try:
        reader = PdfReader(io.BytesIO(content))
        opens = not reader.is_encrypted or bool(reader.decrypt(""))
    except Exception as error:  # noqa: BLE001 - as above
        raise Unfit("pdf.none", f"this is no PDF that can be read ({type(error).__name__})") from None
    if not opens:
        raise Unfit("pdf.encrypted", "it opens with a password only")
    return reader


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
