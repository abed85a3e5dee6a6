"""What files are by their first bytes."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from pathlib import Path

import pytest

from polis.catalog.files.kinds import PROGRAM, kind_of


def archive():
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        file.writestr("a", "b")
    return written.getvalue()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (Path(sys.executable).read_bytes()[:2000], PROGRAM),
        (b"MZ\x90\0" + bytes(60) + b"PE\0\0", PROGRAM),
        (b"\0asm\1\0\0\0", PROGRAM),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", PROGRAM),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "image/jpeg"),
        (b"GIF89a\1\0", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wave"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\x1aE\xdf\xa3\x01", "video/webm"),
        (b"ID3\3\0", "audio/mpeg"),
        (b"%PDF-1.7\n", "application/pdf"),
        (gzip.compress(b"x", mtime=0), "application/gzip"),
        (archive(), "application/zip"),
        (b"\xef\xbb\xbf \n<!DOCTYPE HTML><html>", "text/html"),
        (b"<script>alert(1)</script>", "text/html"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="x">', "image/svg+xml"),
        (b"<?xml version='1.0'?><a/>", "text/xml"),
        (b"hello <html>", None),
        (b'{"a": 1}', None),
        (b"MZ is how this text begins", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell(head, kind):
    assert kind_of(head) == kind


def test_a_head_that_never_ends_a_comment_takes_no_time():
    assert kind_of(b"<?xml ?>" + b"<!--" * 400) == "text/xml"
