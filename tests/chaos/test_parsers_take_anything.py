"""What strangers write is refused or read: tokens, cursors, cookies, trace headers, contents. No parser breaks on it."""

from __future__ import annotations

import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polis import graph
from polis.gateway.cookies import ACCESS
from polis.gateway.http import Exchange
from polis.graph import GraphFaults
from polis.proto import Refused
from polis.proto.identity import Jwks
from polis.proto.problems import StaleCursor
from polis.service.cursor import Cursors
from polis.service.tokens import InvalidToken, SigningKey, Verifier, public_jwk
from polis.telemetry import trace

ACCESS_COOKIE = ACCESS.named(secure=True)
SMALL, FULL = 200, 20_000
KEY = SigningKey("k1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
URL_SAFE = st.text("ABCwxyz019-_.=", max_size=200)
NASTY = st.text(max_size=200) | URL_SAFE | st.binary(max_size=100).map(lambda b: b.decode("latin-1"))
HEADERS = st.binary(max_size=300) | st.lists(
    st.tuples(NASTY, NASTY).map("=".join), max_size=6
).map(lambda pairs: "; ".join(pairs).encode("latin-1", "replace"))  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)


@pytest.fixture
def sweep(full):
    """Runs a property over made-up values, the more the longer it may take."""

    def sweep(strategy, holds):
        checked = settings(
            max_examples=FULL if full else SMALL,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(given(strategy)(holds))
        checked()

    return sweep


def test_no_made_up_token_is_accepted(sweep):
    verifier = Verifier()
    verifier.replace_keys(Jwks(keys=(public_jwk(KEY),)))

    def refused(token):
        with pytest.raises(InvalidToken):
            verifier.verify(token, 0.0)

    sweep(NASTY | st.lists(URL_SAFE, min_size=3, max_size=3).map(".".join), refused)
    sweep(st.tuples(st.just(KEY.header), URL_SAFE, URL_SAFE).map(".".join), refused)


def test_no_made_up_or_changed_cursor_is_a_position(sweep):
    cursors = Cursors(b"secret")
    good = cursors.encode("list", {"key": "a", "n": 7})

    def stale(cursor):
        with pytest.raises(Refused) as refused:
            cursors.decode("list", cursor, dict[str, object])
        assert isinstance(refused.value.problem, StaleCursor)

    def changed(edit):
        index, bit = edit
        raw = bytearray(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4)))
        raw[index % len(raw)] ^= 1 << bit
        stale(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())

    sweep(NASTY, stale)
    sweep(st.tuples(st.integers(0, 1000), st.integers(0, 7)), changed)


def cookie(header):
    exchange = Exchange.__new__(Exchange)
    exchange.headers = {b"cookie": header}
    return exchange.cookie(ACCESS_COOKIE)


def test_a_cookie_is_found_whatever_stands_around_it(sweep):
    """A browser sends what any page of the site has set: none of it may hide our cookie, or pass for it."""

    def found(around):
        before, after = around
        ours = f"{ACCESS_COOKIE}=the.token".encode()
        assert cookie(b"; ".join((before, ours, after))) == "the.token"
        assert cookie(before) == ""

    sweep(st.tuples(HEADERS, HEADERS), found)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("a b=c; {}=t", "t"),
        ("{}=t", "t"),
        ("=; ;;a;{}=t ;b", "t"),
        ("{}=first; {}=second", "first"),
        ('q="x; {}=quoted"; {}=t', 'quoted"'),
        ("{} = t", "t"),
        ("{}=", ""),
        ("x{}=t; {}x=t", ""),
        ("a={}=t", ""),
        ("{}=a=b", "a=b"),
    ],
)
def test_a_cookie_is_read_as_browsers_write_it(header, value):
    assert cookie(header.replace("{}", ACCESS_COOKIE).encode()) == value


def test_whatever_a_trace_header_says_there_is_a_trace(sweep):
    def parsed(header):
        here = trace.parse(header)
        assert len(here.header) == 55
        assert trace.parse(here.header).trace_id == here.trace_id

    sweep(
        NASTY | st.lists(st.text("0123456789abcdefg", max_size=33), min_size=4, max_size=4).map("-".join),
        parsed,
    )


def test_a_content_has_one_canonical_form_or_is_refused(sweep):
    def one_form(value):
        form = canonical_or_none(value)
        assert form is None or graph.canonical(msgspec.json.decode(form)) == form

    sweep(JSON, one_form)


def canonical_or_none(value):
    try:
        return graph.canonical(value)
    except GraphFaults:
        return None
