"""A raw mail becomes a mail object, however broken it is."""

import base64
import quopri
from itertools import pairwise

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.graph import builtin
from polis.runtime.components.mail.kept import MAX_MAIL_BYTES, Kept, RawMail
from polis.runtime.components.mail.parse import mail_of

MAIL_SCHEMA = builtin.components()["mail.read_mailbox"].outputs["mail"].schema


def parsed(content: bytes | str, *, envelope: str = "", max_text: int = 20_000) -> dict:
    raw = content.encode() if isinstance(content, str) else content
    kept = Kept()
    kept.add(raw)
    return mail_of(kept.mail(envelope), max_text=max_text)


def test_a_plain_mail_becomes_an_object_with_all_its_facts():
    mail = parsed(
        "From: Anna Lindner <Anna@Example.org>\nTo: tom@example.com, Priya <priya@example.com>\nCc: x@example.net\n"
        "Subject: Plans\nDate: Mon, 02 Mar 2026 10:15:00 +0100\nMessage-ID: <1@x>\nIn-Reply-To: <0@x>\n"
        "References: <-1@x>\n <0@x>\n\nHello\nWorld\n"
    )

    assert mail["from"] == {"name": "Anna Lindner", "address": "anna@example.org"}
    assert [to["address"] for to in mail["to"]] == ["tom@example.com", "priya@example.com", "x@example.net"]
    assert (mail["subject"], mail["date"], mail["text"]) == ("Plans", "2026-03-02T09:15:00Z", "Hello\nWorld")
    assert (mail["message_id"], mail["in_reply_to"], mail["references"]) == ("1@x", "0@x", ["-1@x", "0@x"])
    assert (mail["bulk"], mail["bulk_reason"], mail["list_id"], mail["problems"]) == (False, None, None, [])


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?iso-8859-1?q?caf=E9?= =?ISO-8859-1?Q?_cr=E8me?=", "café crème"),
        ("=?utf-8?B?5pel?= =?utf-8?B?5pw=?=\n =?utf-8?B?rA==?= (tail)", "日本 (tail)"),
        ("=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "日本"),
        ("=?windows-1252?Q?Facture_=96_1?=", "Facture \u2013 1"),
        ("=?utf-8*en?Q?with_language?=", "with language"),
        ("=?no-such-charset?Q?caf=E9?=", "café"),
        ("=?rot13?Q?uryyb?=", "uryyb"),
        ("=?utf-8?B?!!!?= rest", "rest"),
        ("not =?encoded", "not =?encoded"),
        ("two\n lines\tand\x00 a\x1b[31m bell\x07", "two lines and a[31m bell"),
        ("spoof \u202egpj.exe", "spoof gpj.exe"),
    ],
)
def test_subjects_are_read_as_their_writers_meant_them(raw, shown):
    assert parsed(f"Subject: {raw}\n\n")["subject"] == shown


def test_raw_bytes_in_headers_are_read_too():
    assert parsed("Subject: Grüße\n\n".encode())["subject"] == "Grüße"
    assert parsed("Subject: Grüße\n\n".encode("latin-1"))["subject"] == "Grüße"


@pytest.mark.parametrize(
    ("raw", "name", "address"),
    [
        ("=?utf-8?q?J=C3=BCrgen?= <j@example.org>", "Jürgen", "j@example.org"),
        ('"Lindner, Anna" <a@example.org>', "Anna Lindner", "a@example.org"),
        ('"Example, Inc." <a@example.org>', "Example, Inc.", "a@example.org"),
        ("a@example.org (Anna)", "Anna", "a@example.org"),
        ("a@example.org", "", "a@example.org"),
        ("", "", ""),
        ("(" * 5_000, "", ""),
    ],
)
def test_senders_are_named_as_people_would(raw, name, address):
    assert parsed(f"From: {raw}\n\n")["from"] == {"name": name, "address": address}


@pytest.mark.parametrize(
    ("charset", "label"),
    [
        ("utf-8", "utf-8"),
        ("latin-1", "iso-8859-1"),
        ("cp1252", "iso-8859-1"),  # the usual lie
        ("utf-8", "iso-8859-1"),  # another
        ("latin-1", "utf-8"),
        ("latin-1", "us-ascii"),
        ("cp1252", "x-unknown"),
        ("cp1252", "unicode_escape"),
        ("koi8-r", "koi8-r"),
        ("shift_jis", "shift_jis"),
        ("euc-jp", "euc-jp"),
        ("iso-2022-jp", "iso-2022-jp"),
        ("gb2312", "gb2312"),
        ("big5", "big5"),
    ],
)
def test_texts_are_decoded_whatever_their_label_says(charset, label):
    words = {"koi8-r": "Привет", "gb2312": "你好联通", "big5": "你好"}.get(charset)
    words = words or ("日本語のメール" if "j" in charset else "Grüße, café, naïve")
    head = f"Content-Type: text/plain; charset={label}\nContent-Transfer-Encoding: 8bit\n\n"

    assert parsed(head.encode() + words.encode(charset))["text"] == words


def multipart(kind: str, *parts: str) -> str:
    return (
        f"Content-Type: multipart/{kind}; boundary=b\n\n"
        + "".join(f"--b\n{part}\n" for part in parts)
        + "--b--\n"
    )


PLAIN = "Content-Type: text/plain\n\nThe plain text of this mail, which is long enough to be taken for one."
HTML = (
    "Content-Type: text/html\n\n<p>The HTML <b>text</b> of this mail, which says a little more than the plain one. "
    + "x " * 80
    + "</p>"
)


def test_of_two_alternatives_the_plain_text_is_taken():
    assert parsed(multipart("alternative", PLAIN, HTML))["text"].startswith("The plain text")


def test_a_plain_part_that_only_points_at_the_html_is_not_taken():
    mail = parsed(multipart("alternative", "Content-Type: text/plain\n\nSee HTML.", HTML))

    assert mail["text"].startswith("The HTML text of this mail")


def test_html_beside_a_plain_footer_is_kept():
    mail = parsed(multipart("mixed", "Content-Type: text/html\n\n<p>The message</p>", PLAIN))

    assert mail["text"].startswith("The message\n\nThe plain text")


def test_html_is_read_as_it_is_seen():
    html = (
        "<html><head><title>no</title><style>p{}</style></head><body><p>Hello&nbsp;<b>W</b>orld &amp; all</p>"
        "<div style='display: none'>preheader</div><script>no()</script><ul><li>one<li>two</ul>"
        "<div>a</div><div><br></div><div>b<br></div><div>c</div><blockquote>quoted<br>twice</blockquote></body></html>"
    )

    text = parsed(f"Content-Type: text/html\n\n{html}")["text"]

    assert text == "Hello World & all\n\n- one\n- two\na\n\nb\nc\n\n> quoted\n> twice"


def test_html_that_nests_without_end_is_read_in_time():
    assert parsed("Content-Type: text/html\n\n" + "<div>" * 150_000 + "deep")["text"] == "deep"


def test_attachments_are_listed_without_their_content():
    content = base64.encodebytes(bytes(1000)).decode()
    mail = parsed(
        multipart(
            "mixed", PLAIN,
            f"Content-Type: application/pdf\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment;\n"
            f" filename*=UTF-8''Gr%C3%BC%C3%9Fe.pdf\n\n{content}",
            "Content-Type: text/plain; name=notes.txt\nContent-Disposition: inline; filename=notes.txt\n\nNotes",
            "Content-Type: message/rfc822\n\nSubject: inner\n\nSecret text",
            "Content-Type: nonsense\nContent-Disposition: attachment\n\nx",
        )
    )  # fmt: skip

    assert [(file["name"], file["type"], file["size"]) for file in mail["attachments"]] == [
        ("Grüße.pdf", "application/pdf", 1000), ("notes.txt", "text/plain", 5), ("inner.eml", "message/rfc822", 27),
        ("unnamed", "text/plain", 1),
    ]  # fmt: skip
    assert "Notes" not in mail["text"]
    assert "Secret" not in mail["text"]


def test_a_long_attachment_is_counted_and_what_follows_it_is_still_read():
    content = base64.encodebytes(bytes(3_000_000)).decode()
    photo = f"Content-Type: image/jpeg; name=p.jpg\nContent-Transfer-Encoding: base64\n\n{content}"
    mail = parsed(multipart("mixed", PLAIN, photo, photo, "Content-Type: text/plain\n\nThe end"))

    assert [file["size"] for file in mail["attachments"]] == [3_000_000, 3_000_000]
    assert mail["text"].endswith("The end")
    assert (mail["problems"], mail["size"] > 8_000_000) == (["no date"], True)


def test_a_mail_longer_than_its_bound_is_cut_and_says_so():
    mail = parsed("Subject: long\n\n" + "word word\n" * (MAX_MAIL_BYTES // 8))

    assert "cut" in mail["problems"]
    assert mail["text"].startswith("word word")


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_what_is_kept_of_a_short_mail_is_all_of_it_however_it_comes(content, cuts):
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    kept = Kept()
    for start, end in pairwise(edges):
        kept.add(content[start:end])

    assert kept.mail() == RawMail(content, len(content))


def test_flowed_text_is_one_line_a_paragraph():
    mail = parsed(
        "Content-Type: text/plain; format=flowed\n\nThis is \none line.\n\n From with a stuffed \nspace.\n"
        "> quoted \n> line\n-- \nsignature\n"
    )

    assert mail["text"] == "This is one line.\n\nFrom with a stuffed space.\n> quoted line\n-- \nsignature"


def test_quoted_printable_and_base64_texts_are_decoded():
    encoded = quopri.encodestring("Grüße = ok".encode()).decode()

    assert (
        parsed(
            f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n{encoded}"
        )["text"]
        == "Grüße = ok"
    )
    assert parsed("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nR3L8\nbroken!")[
        "text"
    ].startswith("Grü")
    assert (
        "begin"
        not in parsed("Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n#0V%T\n`\nend\n")["problems"]
    )


@pytest.mark.parametrize(
    ("headers", "envelope", "date", "problems"),
    [
        ("Date: Mon, 02 Mar 2026 10:15:00 +0100", "", "2026-03-02T09:15:00Z", []),
        ("Date: 2 Mar 26 10:15 EST", "", "2026-03-02T15:15:00Z", []),
        ("Date: soon", "From a Mon Mar  2 09:15:00 2026", "2026-03-02T09:15:00Z", ["date unreadable"]),
        ("Received: from a by b;\n Mon, 02 Mar 2026 10:15:00 +0100", "", "2026-03-02T09:15:00Z", ["no date"]),
        ("Date: Mon, 02 Mar 1026 10:15:00 +0100", "", None, ["date unreadable"]),
        ("Date: Mon, 99 Mar 2026 99:99:99 +9999", "From", None, ["date unreadable"]),
        ("Subject: x", "", None, ["no date"]),
    ],
)
def test_dates_are_utc_and_broken_ones_are_looked_up_elsewhere(headers, envelope, date, problems):
    mail = parsed(f"{headers}\n\n", envelope=envelope)

    assert (mail["date"], mail["problems"]) == (date, problems)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ("From: anna@example.org", None),
        ("From: anna@example.org\nAuto-Submitted: no", None),
        ("From: noreen@example.org", None),
        ("From: news@example.org", "no-reply sender"),
        ("From: no-reply@example.org", "no-reply sender"),
        ("From: shop+noreply@example.org", "no-reply sender"),
        ("List-Unsubscribe: <https://example.org/u>", "list-unsubscribe"),
        ("List-Id: Builders <b.example.org>", "list-id"),
        ("Precedence: Bulk", "precedence bulk"),
        ("Auto-Submitted: auto-replied; owner=x", "automatic (auto-replied)"),
        ("Return-Path: <>", "automatic (empty return path)"),
    ],
)
def test_bulk_mail_is_told_by_its_headers(headers, reason):
    mail = parsed(f"{headers}\n\n")

    assert (mail["bulk"], mail["bulk_reason"]) == (reason is not None, reason)


def test_the_text_is_cut_at_its_bound():
    assert len(parsed("\n" + "x" * 5_000, max_text=100)["text"]) == 100


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x00" * 1000,
        b'Content-Type: multipart/mixed; boundary=""\n\n--\n--\n',
        b"Content-Type: multipart/mixed\n\nno boundary",
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3_000)),
        b"Content-Type: message/rfc822\n\n" * 3_000,
        b"Content-Type: text/plain; charset*0*=%FF''x; charset=\xff\n\nx",
        b"Content-Type: text/plain; name*=bad''%ZZ; name*1=x\n\nx",
        b"Subject: " + b"=?utf-8?q?" * 10_000 + b"\n\n",
        b"From: " + b'"' * 50_000 + b"\n\n",
        b"To: " + b"a@b," * 50_000 + b"\n\n",
        b"References: " + b"<a@b> " * 50_000 + b"\n\n",
        b"Content-Type: text/html\n\n" + b"<table><tr><td>" * 20_000,
    ],
)  # fmt: skip
def test_hostile_mails_are_read_or_flagged(hostile):
    mail = parsed(hostile)

    jsonschema.validate(mail, MAIL_SCHEMA)
    msgspec.json.encode(mail).decode("utf-8")


@given(st.binary(max_size=2_000), st.sampled_from([b"", b"Content-Type: text/html; charset=utf-8\n\n", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n", b"Subject: =?", b"From: "]))  # fmt: skip
def test_no_bytes_make_the_parser_raise(noise, start):
    mail = parsed(start + noise)

    encoded = msgspec.json.encode(mail)
    assert b"\\u0000" not in encoded
    assert msgspec.json.decode(encoded) == mail
