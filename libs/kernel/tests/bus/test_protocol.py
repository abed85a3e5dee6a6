"""The parser and the encoder, without a server."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.bus.message import Message, parse_headers
from polis.bus.protocol import Parser, check_subject, encode_headers

token = st.text("abcdefgXYZ0189_-$", min_size=1, max_size=12)
subjects = st.lists(token, min_size=1, max_size=5).map(".".join)
values = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=30).map(
    str.strip
)
heads = st.one_of(st.just(b""), st.dictionaries(token, values, min_size=1, max_size=4).map(encode_headers))
messages = st.lists(
    st.tuples(
        subjects, st.integers(1, 10**6), st.one_of(st.just(""), subjects), heads, st.binary(max_size=200)
    ),
    max_size=6,
)
controls = st.sampled_from([b"PING", b"PONG", b"+OK", b"-ERR 'Stale Connection'", b'INFO {"max_payload":1}'])


def wire(message) -> bytes:
    subject, sid, reply, head, payload = message
    address = f"{subject} {sid} {reply}".strip().encode()
    if head:
        return b"HMSG %b %d %d\r\n%b%b\r\n" % (address, len(head), len(head) + len(payload), head, payload)
    return b"MSG %b %d\r\n%b\r\n" % (address, len(payload), payload)


class Everyone(dict):
    """Receivers of all subscriptions."""

    def __init__(self, seen: list[object]) -> None:
        self.seen = seen

    def get(self, sid):
        return SimpleNamespace(deliver=lambda subject, *rest: self.seen.append((subject, sid, *rest)))


def parsed(pieces: list[bytes]) -> list[object]:
    seen: list[object] = []
    parser = Parser(Everyone(seen), seen.append)
    for piece in pieces:
        parser.feed(piece)
    return seen


def expected(items) -> list[object]:
    return [
        item
        if isinstance(item, bytes)
        else (item[0].encode(), b"%d" % item[1], item[2].encode(), item[3], item[4])
        for item in items
    ]


def stream_of(items) -> bytes:
    return b"".join(item + b"\r\n" if isinstance(item, bytes) else wire(item) for item in items)


@given(st.lists(st.one_of(messages.filter(bool).map(lambda m: m[0]), controls), max_size=8), st.data())
def test_what_arrives_is_understood_however_it_was_cut(items, data):
    stream = stream_of(items)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))

    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert parsed(pieces) == expected(items)


@pytest.mark.parametrize("reply", ["", "reply.to"])
@pytest.mark.parametrize("head", [b"", encode_headers({"A": "1"})])
def test_a_message_cut_at_any_byte_is_whole(reply, head):
    items = [("a.b", 7, reply, head, b"\r\nMSG x 1 2\r\n"), b"PING", ("c", 1, "", b"", b"")]
    stream = stream_of(items)

    assert parsed([bytes([byte]) for byte in stream]) == expected(items)
    for cut in range(len(stream)):
        assert parsed([stream[:cut], stream[cut:]]) == expected(items)


@pytest.mark.parametrize(
    "junk",
    [
        b"MSG a\r\n",
        b"MSG a 1 x\r\n\r\n",
        b"HMSG a 1 x 3\r\nabc\r\n",
        b"MSG a 1 -9\r\n",
        b"MSG a 1 1\r\nabc",
        b"x" * 2**20 + b"y",
    ],
)
def test_what_is_not_the_protocol_is_an_error(junk):
    with pytest.raises((ValueError, IndexError)):
        parsed([junk])


@given(st.dictionaries(token, values, max_size=6))
def test_headers_come_back_as_they_were_sent(headers):
    assert parse_headers(encode_headers(headers)) == headers


@pytest.mark.parametrize("headers", [{"A": "x\r\nActor: root"}, {"A": "x\ny"}, {"A\r\nB": "x"}, {"A": "x\r"}])
def test_a_header_cannot_forge_another(headers):
    with pytest.raises(ValueError, match="line break"):
        encode_headers(headers)


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB b 0", "a\tb", "a\n", "\x00"])
def test_a_subject_cannot_end_itself(subject):
    with pytest.raises(ValueError, match="not a subject"):
        check_subject(subject)


def test_the_status_of_the_broker_is_told_from_headers():
    silent = Message("s", "", b"", b"NATS/1.0 503\r\n\r\n")
    stopped = Message("s", "", b"", b"NATS/1.0 409 Consumer Deleted\r\nNats-Pending-Messages: 3\r\n\r\n")
    plain = Message("s", "", b"", encode_headers({"503": "503"}))

    assert (silent.status, silent.description) == (503, "")
    assert (stopped.status, stopped.description) == (409, "Consumer Deleted")
    assert stopped.headers == {"Nats-Pending-Messages": "3"}
    assert (plain.status, plain.headers, Message("s", "", b"").headers) == (None, {"503": "503"}, {})
