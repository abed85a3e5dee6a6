"""A mailbox with damage anywhere in it still goes through: every mail is read or flagged, and fits its schema."""

from pathlib import Path

import jsonschema
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from polis.graph import builtin
from polis.runtime.component import StepFailed
from polis.runtime.components.mail.container import Mailbox
from polis.runtime.components.mail.conversation import Mail, conversations
from polis.runtime.components.mail.parse import mail_of
from polis.runtime.components.mail.threads import thread
from polis.runtime.components.summary.summarize import Config, Source, summary

SAMPLE = (Path(__file__).parents[5] / "samples" / "mailbox.mbox").read_bytes()
MAIL = jsonschema.Draft202012Validator(builtin.components()["mail.read_mailbox"].outputs["mail"].schema)
THREAD = jsonschema.Draft202012Validator(builtin.components()["mail.threads"].outputs["thread"].schema)
SCRAPS = (
    b"\n", b"\r\n", b"\n\n", b"\0", b"\xff", b"<", b">", b"(", b'"', b":", b";", b"=", b"--", b"From ", b"Re: ", b"=?utf-8?q?", b"?=",
    b"Content-Type: multipart/mixed; boundary=x\n", b"charset=utf-16", b"charset=utf-7", b"charset=hz", b"base64",
    b"format=flowed", b"message/rfc822", b"text/html", b"&#0;", b"&#xD800;", b"<![CDATA[", b"Auto-Submitted: \xb7\n",
)  # fmt: skip
places = st.integers(0, len(SAMPLE) - 1)
inserts = st.tuples(places, st.just(0), st.sampled_from(SCRAPS) | st.binary(max_size=4))
cuts = st.tuples(places, st.integers(1, 300), st.just(b""))


@given(st.lists(inserts | cuts, min_size=1, max_size=40))
def test_damage_is_flagged_and_ends_nothing(changes):
    content = bytearray(SAMPLE)
    for at, length, scrap in changes:
        content[at : at + length] = scrap

    mails = read(bytes(content))

    for mail in mails:
        MAIL.validate(mail)
        assert not any("unreadable (" in problem for problem in mail["problems"])
    assert msgspec.json.decode(msgspec.json.encode(mails)) == mails
    for group in conversations(msgspec.convert(mail, Mail) for mail in mails):
        message = thread(group)
        THREAD.validate(message)
        summary(msgspec.convert(message, Source), Config())


def read(content: bytes) -> list[dict]:
    mailbox = Mailbox("box")
    try:
        return [mail_of(raw, max_text=20_000) for raw in (*mailbox.feed(content), *mailbox.close())]
    except StepFailed:
        return []
