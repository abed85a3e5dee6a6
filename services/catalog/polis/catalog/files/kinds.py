"""What a file is by its first bytes, whatever it is called.

The patterns are those of the WHATWG's MIME Sniffing (6.1-6.3, 7.1) and of the formats' own specifications; programs are
added, which browsers do not look for.
"""

from __future__ import annotations

import re
from typing import Final

HEAD_BYTES: Final = 1445
"""As much as MIME Sniffing reads (5.2)."""
PROGRAM: Final = "application/x-executable"
_WILD: Final = rb"[\s\S]"
_PATTERNS: Final = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (
            rb"\x7fELF|MZ"
            + _WILD
            + rb"{58}|\xca\xfe\xba[\xbe\xbf]|[\xce\xcf]\xfa\xed\xfe|\xfe\xed\xfa[\xce\xcf]|\0asm",
            PROGRAM,
        ),
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"RIFF" + _WILD + rb"{4}WEBPVP", "image/webp"),
        (rb"BM" + _WILD + rb"{4}\0\0\0\0", "image/bmp"),
        (rb"II\*\0|MM\0\*", "image/tiff"),
        (_WILD + rb"{4}ftyp(?:avif|avis)", "image/avif"),
        (_WILD + rb"{4}ftyp(?:hei[cx]|mif1)", "image/heic"),
        (_WILD + rb"{4}ftypM4A", "audio/mp4"),
        (_WILD + rb"{4}ftyp", "video/mp4"),
        (rb"\x1a\x45\xdf\xa3", "video/webm"),
        (rb"RIFF" + _WILD + rb"{4}AVI ", "video/avi"),
        (rb"RIFF" + _WILD + rb"{4}WAVE", "audio/wave"),
        (rb"FORM" + _WILD + rb"{4}AIFF", "audio/aiff"),
        (rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", "audio/mpeg"),
        (rb"fLaC", "audio/flac"),
        (rb"OggS\0", "application/ogg"),
        (rb"MThd\0\0\0\x06", "audio/midi"),
        (rb"%PDF-", "application/pdf"),
        (rb"PK\x03\x04|PK\x05\x06", "application/zip"),
        (rb"\x1f\x8b\x08", "application/gzip"),
        (rb"Rar!\x1a\x07", "application/vnd.rar"),
        (rb"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (rb"(?i)(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]*?-->\s*)?<svg[\s>]", "image/svg+xml"),
        (rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|script|iframe|body)[\s>]", "text/html"),
        (rb"(?:\xef\xbb\xbf)?\s*<\?xml", "text/xml"),
    )
)


def kind_of(head: bytes) -> str | None:
    """The media type that the first bytes of a file belong to; None where they tell nothing."""
    start = head[:HEAD_BYTES]
    return next((kind for pattern, kind in _PATTERNS if pattern.match(start)), None)
