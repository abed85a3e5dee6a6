"""What a client's bytes say (RFC 6455), after the case list of the Autobahn suite: each case whole, byte by byte and in odd pieces."""

from __future__ import annotations

import pytest

from polis.gateway.websocket import frames
from polis.gateway.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Fault
from polis.gateway.websocket.handshake import BadHandshake, accept, offered
from polis.gateway.websocket.reader import Reader
from polis.testing.frames import said

KEY = bytes(4)
MAX = 70_000
PIECES = (1 << 20, 1, 7)


def heard(data: bytes, size: int) -> list:
    """What a reader makes of it, in pieces of this size; the last is the code of the fault, if there is one."""
    reader, found = Reader(MAX), []
    try:
        for at in range(0, len(data), size):
            found += reader.feed(data[at : at + size])
    except Fault as fault:
        found.append(fault.code)
    return found


WORD = "κόσμε"
CUT = WORD.encode()
EXACT = [
    pytest.param(said(TEXT), [(TEXT, "")], id="an empty text"),
    pytest.param(said(BINARY), [(BINARY, b"")], id="empty bytes"),
    *(
        pytest.param(said(BINARY, b"\xfe" * n), [(BINARY, b"\xfe" * n)], id=f"{n} bytes")
        for n in (125, 126, 127, 128, 65_535, 65_536)
    ),
    pytest.param(said(TEXT, WORD.encode()) * 2, [(TEXT, WORD)] * 2, id="two texts"),
    pytest.param(
        said(PING) + said(PING, b"\x00\xff" * 62), [(PING, b""), (PING, b"\x00\xff" * 62)], id="pings"
    ),
    pytest.param(said(PONG, b"unasked") + said(TEXT, b"a"), [(PONG, b"unasked"), (TEXT, "a")], id="a pong"),
    pytest.param(
        said(TEXT, b"a", final=False) + said(CONTINUATION, b"", final=False) + said(CONTINUATION, b"b"),
        [(TEXT, "ab")],
        id="fragments, one of them empty",
    ),
    pytest.param(
        said(BINARY, b"\xff", final=False) + said(PING, b"p") + said(CONTINUATION, b"\xfe"),
        [(PING, b"p"), (BINARY, b"\xff\xfe")],
        id="a ping between fragments",
    ),
    *(
        pytest.param(
            said(TEXT, CUT[:n], final=False) + said(CONTINUATION, CUT[n:]), [(TEXT, WORD)], id=f"cut at {n}"
        )
        for n in range(len(CUT) + 1)
    ),
    pytest.param(said(TEXT, "\U0010ffff\ufffe".encode()), [(TEXT, "\U0010ffff\ufffe")], id="odd code points"),
    pytest.param(said(BINARY, bytes(MAX)), [(BINARY, bytes(MAX))], id="the largest message"),
    pytest.param(said(CLOSE, b"\x03\xe8bye"), [(CLOSE, b"\x03\xe8bye")], id="a close"),
]


@pytest.mark.parametrize(("data", "expected"), EXACT)
def test_messages_are_heard_however_their_bytes_come(data, expected):
    for size in PIECES if len(data) < 1000 else (1 << 20, 4096):
        assert heard(data, size) == expected


BROKEN = [
    *(
        pytest.param(said(TEXT, b"a", first=bit), [1002], id=f"reserved bit {bit:#x}")
        for bit in (0x40, 0x20, 0x10)
    ),
    *(
        pytest.param(said(opcode), [1002], id=f"opcode {opcode:#x}")
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ),
    pytest.param(said(PING, bytes(126)), [1002], id="a long ping"),
    pytest.param(said(PING, b"", final=False), [1002], id="half a ping"),
    pytest.param(said(CONTINUATION, b"a"), [1002], id="a fragment of nothing"),
    pytest.param(said(TEXT, b"a") + said(CONTINUATION, b"a"), [(TEXT, "a"), 1002], id="a fragment too many"),
    pytest.param(said(TEXT, b"a", final=False) + said(TEXT, b"b"), [1002], id="a text in a text"),
    pytest.param(frames.text(b"a"), [1002], id="no mask"),
    pytest.param(bytes((0x82, 0xFE, 0, 125)) + KEY, [1002], id="a size in too many bytes"),
    pytest.param(bytes((0x82, 0xFF)) + bytes(6) + b"\xff\xff" + KEY, [1002], id="the same in eight"),
    pytest.param(bytes((0x82, 0xFF, 0xFF)) + bytes(7) + KEY, [1009], id="a negative size"),
    pytest.param(said(BINARY, bytes(MAX + 1))[:14], [1009], id="a message too large, before its bytes"),
    pytest.param(
        said(BINARY, bytes(MAX), final=False) + said(CONTINUATION, b"1"),
        [1009],
        id="fragments too large together",
    ),
    *(
        pytest.param(said(TEXT, b"ok " + bad), [1007], id=f"no UTF-8: {bad!r}")
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80")
    ),
    pytest.param(said(TEXT, b"ok \xc0\xaf", final=False), [1007], id="no UTF-8, known at the first fragment"),
    pytest.param(
        said(TEXT, CUT[:1], final=False) + said(CONTINUATION),
        [1007],
        id="a text that ends within a character",
    ),
]


@pytest.mark.parametrize(("data", "expected"), BROKEN)
def test_what_breaks_the_rules_is_a_fault(data, expected):
    for size in PIECES if len(data) < 1000 else (1 << 20,):
        assert heard(data, size) == expected


def test_a_fault_in_the_head_of_a_frame_does_not_wait_for_its_payload():
    assert heard(said(TEXT, bytes(100), first=0x40)[:2], 1) == [1002]
    assert heard(said(BINARY, bytes(MAX + 1))[:10], 1) == [1009]


def test_close_codes_are_those_that_may_be_sent():
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 4999):
        assert frames.code_of(frames.closing(code, WORD)[2:]) == code
    assert frames.code_of(b"") is None
    for payload, told in {
        b"\x03": 1002,
        **{
            code.to_bytes(2, "big"): 1002
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535)
        },
        b"\x03\xe8\xff": 1007,
    }.items():
        with pytest.raises(Fault) as fault:
            frames.code_of(payload)
        assert fault.value.code == told, payload


def test_a_reason_is_cut_between_characters():
    cut = frames.closing(4408, "ä" * 100)
    assert cut[1] <= 125
    assert cut[4:].decode() == "ä" * 61


HANDSHAKE = {
    b"connection": b"keep-alive, Upgrade",
    b"upgrade": b"websocket",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"sec-websocket-extensions": b"permessage-deflate",
    b"sec-websocket-protocol": b"polis.msgpack, polis.json",
}


def test_a_handshake_is_answered_as_the_rfc_has_it():
    assert accept("GET", HANDSHAKE) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert offered(HANDSHAKE) == ["polis.msgpack", "polis.json"]


@pytest.mark.parametrize(
    ("method", "changed", "status"),
    [
        ("POST", {}, 400),
        ("GET", {b"connection": b"keep-alive"}, 400),
        ("GET", {b"sec-websocket-version": b"8"}, 426),
        ("GET", {b"sec-websocket-key": b"c2hvcnQ="}, 400),
        ("GET", {b"sec-websocket-key": b"not base64!"}, 400),
        ("GET", {b"content-length": b"1"}, 400),
    ],
)
def test_what_is_no_handshake_is_refused(method, changed, status):
    with pytest.raises(BadHandshake) as refusal:
        accept(method, HANDSHAKE | changed)

    assert refusal.value.status == status
