"""Mailboxes are taken apart the same way however their bytes arrive."""

import gzip
import io
import tarfile
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.runtime.component import StepFailed
from polis.runtime.components.mail.container import Mailbox

SEPARATOR = b"From someone@example.org Mon Mar  2 09:15:00 2026\n"
MAIL = b"From: a@example.org\nSubject: Hi\n\nText\n"

bodies = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b"text\n", b"From here on\n", b">From there\n", b">>From\n", SEPARATOR, b"From: x\n", b"Date: y\n",
         b"From x\n", b"no end", b"A" * 76 + b"\n", b"\xff\x00\n", b"--b\n"]
    ),
    max_size=30,
).map(b"".join)  # fmt: skip


def mails_of(data: bytes, *cuts: int) -> list[bytes]:
    mailbox = Mailbox("box")
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = [mail for start, end in pairwise(edges) for mail in mailbox.feed(data[start:end])]
    return [mail.content for mail in (*found, *mailbox.close())]


def packed(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def outcome(data: bytes, *cuts: int) -> list[bytes] | str:
    try:
        return mails_of(data, *cuts)
    except StepFailed as failure:
        return str(failure)


@given(bodies, st.lists(st.integers(0, 2_000), max_size=8))
def test_the_mails_do_not_depend_on_where_the_bytes_were_cut(body, cuts):
    data = SEPARATOR + MAIL + b"\n" + body

    assert outcome(data, *cuts) == outcome(data)


@given(st.lists(bodies, min_size=1, max_size=4), st.lists(st.integers(0, 5_000), max_size=6), st.booleans())
def test_the_files_of_a_tar_do_not_depend_on_where_the_bytes_were_cut(contents, cuts, gzipped):
    contents = [b"Subject: x\n" + content for content in contents]
    data = packed({f"Maildir/cur/{number}:2,S": content for number, content in enumerate(contents)})
    data = gzip.compress(data, mtime=0) if gzipped else data

    assert mails_of(data, *cuts) == contents


@given(
    st.binary(max_size=3_000),
    st.sampled_from([b"", b"From ", SEPARATOR, SEPARATOR + MAIL, b"\x1f\x8b\x08", b"\xef\xbb\xbf\n"]),
)
def test_random_bytes_are_mails_or_a_clear_refusal(noise, start):
    try:
        assert mails_of(start + noise)
    except StepFailed as failure:
        assert failure.kind in ("mailbox.unreadable", "mailbox.empty")  # noqa: PT017
        assert "'box'" in str(failure)  # noqa: PT017


@given(st.integers(0, 4_000), st.binary(min_size=1, max_size=30))
def test_a_damaged_tar_is_mails_or_a_clear_refusal(at, noise):
    data = bytearray(packed({"cur/1": MAIL, "cur/2": MAIL * 20}))
    data[at : at + len(noise)] = noise

    try:
        mails_of(bytes(data))
    except StepFailed as failure:
        assert failure.kind in ("mailbox.unreadable", "mailbox.empty")  # noqa: PT017


def test_quoted_from_lines_are_unquoted_and_begin_no_mail():
    data = SEPARATOR + MAIL + b"\n>From here on\n>>From there\n> From me\n"

    assert mails_of(data) == [MAIL + b"\nFrom here on\n>From there\n> From me\n"]


def test_an_unquoted_from_line_in_a_text_begins_no_mail():
    data = SEPARATOR + MAIL + b"\nFrom the beginning it was clear:\nwe are late.\n"

    assert len(mails_of(data)) == 1


@pytest.mark.parametrize(
    "between",
    [
        b"\n" + SEPARATOR,
        b"\r\n" + SEPARATOR.replace(b"\n", b"\r\n"),
        SEPARATOR,  # no blank line, as some writers leave it
        b"\nFrom nobody\n",  # no date
        b"\nFrom - Mon, 02 Mar 2026 10:15:00 +0100\n",
    ],
)
def test_mails_are_told_apart_by_separators_of_many_writers(between):
    assert len(mails_of(SEPARATOR + MAIL + between + MAIL)) == 2


def test_a_byte_order_mark_and_blank_lines_before_the_first_mail_do_no_harm():
    assert len(mails_of(b"\xef\xbb\xbf\n\r\n" + SEPARATOR + MAIL)) == 1


def test_folders_of_a_maildir_are_read_and_other_files_are_not():
    long = "Maildir/.Archive/cur/" + "x" * 180
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        name = long if form != tarfile.USTAR_FORMAT else "Maildir/.Archive/cur/short"
        data = packed(
            {
                "Maildir/new/1": b"a: 1\n", "Maildir/cur/2:2,S": b"b: 2\n", "Maildir/tmp/3": b"c: 3\n", name: b"d: 4\n",
                "Maildir/dovecot.index": b"no mail", "Maildir/cur/._2": b"no mail", "export/letter.EML": b"e: 5\n",
                "Maildir/cur/empty": b"",
            },
            form,
        )  # fmt: skip

        assert mails_of(data) == [b"a: 1\n", b"b: 2\n", b"d: 4\n", b"e: 5\n"]


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"", "mailbox.empty", "'box' is empty (0 bytes)"),
        (b"\n \r\n", "mailbox.empty", "'box' holds nothing but white space"),
        (b"\0" * 2048, "mailbox.empty", "'box' holds nothing but white space"),
        (b"%PDF-1.7\n...", "mailbox.unreadable", "is a PDF"),
        (b"PK\x03\x04....", "mailbox.unreadable", "is a zip archive"),
        (b"!BDN" + b"\0" * 600, "mailbox.unreadable", "is an Outlook data file"),
        (b"Dear all,\n", "mailbox.unreadable", "begins with b'Dear all,"),
        (b"From the desk of Anna\nhello\n", "mailbox.unreadable", "neither a date nor a mail header follows"),
        (
            gzip.compress(gzip.compress(SEPARATOR + MAIL, mtime=0), mtime=0),
            "mailbox.unreadable",
            "is compressed twice",
        ),
        (gzip.compress(b"", mtime=0), "mailbox.empty", "is empty"),
        (
            gzip.compress(SEPARATOR + MAIL, mtime=0)[:-9],
            "mailbox.unreadable",
            "ends in the middle of its gzip data",
        ),
        (packed({"a/readme.txt": b"x"}), "mailbox.empty", "of its 1 files none lies in a folder cur or new"),
        (packed({"cur/1": b"x" * 2000})[:1500], "mailbox.unreadable", "the tar is cut off"),
    ],
)
def test_what_is_no_mailbox_is_refused_with_the_fact(data, kind, said):
    with pytest.raises(StepFailed) as failure:
        mails_of(data)

    assert failure.value.kind == kind
    assert said in str(failure.value)


def test_a_gzip_that_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr("polis.runtime.components.mail.container.MAX_UNPACKED_BYTES", 1_000_000)

    with pytest.raises(StepFailed, match="unpacks to over"):
        mails_of(gzip.compress(SEPARATOR + MAIL + b"\0" * 2_000_000, mtime=0))


def test_gzip_members_one_after_another_are_one_mailbox():
    data = gzip.compress(SEPARATOR + MAIL + b"\n", mtime=0) + gzip.compress(SEPARATOR + MAIL) + b"\0\0"

    assert len(mails_of(data, 5, 60)) == 2
