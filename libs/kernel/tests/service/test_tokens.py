"""Tokens that identity signs are read as they were meant, and no forged one is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import OctKey, OKPKey

from polis.proto.identity import Jwks
from polis.service import tokens
from polis.service.tokens import Claims, InvalidToken, SigningKey, Verifier, public_jwk, sign

NOW = 1_800_000_000
KEY = SigningKey("k1", Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
OTHER = SigningKey("k2", Ed25519PrivateKey.from_private_bytes(b"\x02" * 32))
ORG = UUID(int=7)
SESSION = UUID(int=9)
CLAIMS = Claims(
    sub=UUID(int=5),
    kind="user",
    name="Ada Ł",
    org=ORG,
    orgs={str(ORG): "member"},
    iat=NOW,
    exp=NOW + 900,
    jti="j1",
    sid=SESSION,
)
HEADER: dict[str, object] = {"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"}


def raw_public(key: SigningKey) -> bytes:
    return key.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def verifier(*keys: SigningKey) -> Verifier:
    made = Verifier()
    made.replace_keys(Jwks(keys=tuple(public_jwk(key) for key in keys or (KEY,))))
    return made


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def payload(**changes: object) -> dict[str, object]:
    """The claims of a good token with some changed, or left out where the value is `...`."""
    claims = {"iss": "polis", "aud": "polis"} | msgspec.to_builtins(CLAIMS) | changes
    return {name: value for name, value in claims.items() if value is not ...}


def forge(
    claims: dict[str, object] | bytes | None = None,
    header: dict[str, object] | bytes | None = None,
    sign_with: Callable[[bytes], bytes] = KEY.private.sign,
) -> str:
    """A token of any header and payload, signed with the mesh's own key unless told otherwise."""
    claims = payload() if claims is None else claims
    header = HEADER if header is None else header
    parts = (x if isinstance(x, bytes) else msgspec.json.encode(x) for x in (header, claims))
    signed = ".".join(b64(part) for part in parts)
    return f"{signed}.{b64(sign_with(signed.encode()))}"


def es256(data: bytes) -> bytes:
    r, s = decode_dss_signature(ec.generate_private_key(ec.SECP256R1()).sign(data, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    import hmac

    return lambda data: hmac.digest(secret, data, "sha256")


def tampered(part: int, change: Callable[[str], str]) -> str:
    parts = sign(CLAIMS, KEY).split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


def respelled_signature() -> str:
    """The last of 86 characters holds four unused bits: lenient decoders take 16 spellings of one signature."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return tampered(2, lambda s: s[:-1] + alphabet[alphabet.index(s[-1]) ^ 1])


def deep() -> bytes:
    return b'{"a":' * 600 + b"1" + b"}" * 600


EVIL: dict[str, object] = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw_public(OTHER))}
KNOWN_AS_K1 = SigningKey("k1", OTHER.private)

FORGED: dict[str, str] = {
    "empty": "",
    "no dots": "abc",
    "two parts": sign(CLAIMS, KEY).rpartition(".")[0],
    "four parts": sign(CLAIMS, KEY) + ".abc",
    "five parts (an encrypted token)": "a.b.c.d.e",
    "alg none without a signature": forge(header=HEADER | {"alg": "none"}, sign_with=lambda _: b""),
    "alg none with the mesh's signature": forge(header=HEADER | {"alg": "none"}),
    "alg None in other case": forge(header=HEADER | {"alg": "nOnE"}, sign_with=lambda _: b""),
    "empty signature": tampered(2, lambda _: ""),
    "HS256 with the raw public key": forge(
        header=HEADER | {"alg": "HS256"}, sign_with=hs256(raw_public(KEY))
    ),
    "HS256 under the right header": forge(sign_with=hs256(raw_public(KEY))),
    "HS256 by a library": jws.serialize_compact(
        HEADER | {"alg": "HS256"},
        json.dumps(payload()),
        OctKey.import_key(b64(raw_public(KEY)) * 2),
        ["HS256"],
    ),
    "ES256": forge(header=HEADER | {"alg": "ES256"}, sign_with=es256),
    "a P-256 signature under the right header": forge(sign_with=es256),
    "Ed448": forge(header=HEADER | {"crv": "Ed448"}, sign_with=ed448.Ed448PrivateKey.generate().sign),
    "an Ed448 signature under the right header": forge(sign_with=ed448.Ed448PrivateKey.generate().sign),
    "alg Ed25519 (RFC 9864)": forge(header=HEADER | {"alg": "Ed25519"}),
    "unknown kid": sign(CLAIMS, OTHER),
    "another key under a known kid": sign(CLAIMS, KNOWN_AS_K1),
    "kid of a path": forge(header=HEADER | {"kid": "../../dev/null"}),
    "kid with SQL": forge(header=HEADER | {"kid": "k1' or '1'='1"}),
    "kid a number": forge(header=HEADER | {"kid": 1}),
    "kid a list": forge(header=HEADER | {"kid": ["k1"]}),
    "no kid": forge(header={"alg": "EdDSA", "typ": "at+jwt"}),
    "typ JWT": forge(header=HEADER | {"typ": "JWT"}),
    "no typ": forge(header={"alg": "EdDSA", "kid": "k1"}),
    "crit": forge(header=HEADER | {"crit": ["exp"]}),
    "embedded jwk": forge(header=HEADER | {"jwk": EVIL}, sign_with=OTHER.private.sign),
    "jku": forge(header=HEADER | {"jku": "https://example.org/jwks"}, sign_with=OTHER.private.sign),
    "x5c": forge(header=HEADER | {"x5c": ["AAAA"]}),
    "b64 false (RFC 7797)": forge(header=HEADER | {"b64": False, "crit": ["b64"]}),
    "duplicate alg": forge(header=b'{"alg":"none","alg":"EdDSA","kid":"k1","typ":"at+jwt"}'),
    "header in another order": forge(header=b'{"kid":"k1","alg":"EdDSA","typ":"at+jwt"}'),
    "header with spaces": forge(header=b'{"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"}'),
    "header not JSON": forge(header=b"EdDSA"),
    "header a list": forge(header=b'["EdDSA"]'),
    "header not UTF-8": forge(header=b'{"alg":"EdDSA","kid":"\xff","typ":"at+jwt"}'),
    "tampered payload": tampered(1, lambda p: b64(msgspec.json.encode(payload(kind="service")))),
    "payload one character off": tampered(1, lambda p: p[:-1] + ("A" if p[-1] != "A" else "B")),
    "tampered signature": tampered(2, lambda s: ("A" if s[0] != "A" else "B") + s[1:]),
    "signature spelled otherwise": respelled_signature(),
    "signature of zeros": tampered(2, lambda _: b64(b"\0" * 64)),
    "signature cut": tampered(2, lambda s: s[:-4]),
    "signature with more behind": tampered(2, lambda s: s + "AAAA"),
    "padded": sign(CLAIMS, KEY) + "==",
    "line feed behind": sign(CLAIMS, KEY) + "\n",
    "space before": " " + sign(CLAIMS, KEY),
    "junk inside": sign(CLAIMS, KEY)[:30] + "*" + sign(CLAIMS, KEY)[30:],
    "standard base64 alphabet": sign(CLAIMS, KEY).replace("-", "+").replace("_", "/") + "+",
    "full-width characters": "".join(chr(ord(c) + 0xFEE0) for c in sign(CLAIMS, KEY)),
    "truncated": sign(CLAIMS, KEY)[:-10],
    "huge": forge(payload(name="x" * 5000)),
    "a megabyte of dots": "." * 1_000_000,
    "missing exp": forge(payload(exp=...)),
    "missing iat": forge(payload(iat=...)),
    "missing iss": forge(payload(iss=...)),
    "missing aud": forge(payload(aud=...)),
    "missing sub": forge(payload(sub=...)),
    "missing org": forge(payload(org=...)),
    "missing orgs": forge(payload(orgs=...)),
    "expired": forge(payload(iat=NOW - 901, exp=NOW - 1)),
    "expires this second": forge(payload(iat=NOW - 900, exp=NOW)),
    "exp a string": forge(payload(exp=str(NOW + 900))),
    "exp a float": forge(payload(exp=NOW + 900.5)),
    "exp a whole float": forge(payload(exp=float(NOW + 900))),
    "exp true": forge(payload(exp=True)),
    "exp null": forge(payload(exp=None)),
    "exp negative": forge(payload(exp=-1)),
    "exp in 2100": forge(payload(exp=4_102_444_800)),
    "exp beyond 64 bits": forge(json.dumps(payload(exp=10**30)).encode()),
    "exp NaN": forge(json.dumps(payload(exp=float("nan"))).encode()),
    "exp infinite": forge(json.dumps(payload(exp=float("inf"))).encode()),
    "exp of 6,000 digits": forge(json.dumps(payload()).replace(str(NOW + 900), "9" * 2000).encode()),
    "exp before iat": forge(payload(iat=NOW + 30, exp=NOW + 10)),
    "iat in the future": forge(payload(iat=NOW + 3600, exp=NOW + 4000)),
    "iat long ago": forge(payload(iat=NOW - 10_000)),
    "nbf in the future": forge(payload(nbf=NOW + 600)),
    "nbf a string": forge(payload(nbf="0")),
    "other issuer": forge(payload(iss="https://polis")),
    "other audience": forge(payload(aud="catalog")),
    "audience a list": forge(payload(aud=["polis", "other"])),
    "sub not a UUID": forge(payload(sub="admin")),
    "org outside orgs": forge(payload(org=str(UUID(int=8)))),
    "orgs a list": forge(payload(orgs=[str(ORG)])),
    "duplicate exp": forge(json.dumps(payload())[:-1].encode() + b',"exp":1900000000}'),
    "duplicate org inside orgs": forge(
        json.dumps(payload()).replace('"member"', f'"viewer","{ORG}":"owner"').encode()
    ),
    "payload not JSON": forge(b"sub=5"),
    "payload a list": forge(b"[]"),
    "payload a string": forge(b'"polis"'),
    "payload null": forge(b"null"),
    "payload in UTF-16": forge(json.dumps(payload()).encode("utf-16")),
    "payload not UTF-8": forge(b'{"sub":"\xff"}'),
    "payload with a byte order mark": forge(b"\xef\xbb\xbf" + msgspec.json.encode(payload())),
    "payload too deep": forge(deep()),
    "two JSON values": forge(msgspec.json.encode(payload()) + b"{}"),
}


@pytest.mark.parametrize("name", FORGED)
def test_no_forged_token_is_accepted(name: str) -> None:
    check = verifier()
    good = sign(CLAIMS, KEY)
    check.verify(good, NOW)

    for _ in range(2):
        with pytest.raises(InvalidToken):
            check.verify(FORGED[name], NOW)

    assert check.verify(good, NOW) == CLAIMS


CHARACTERS = st.sampled_from("ABab01-_.=+/ \n{}\x00\u00e9\U0001f600")


@given(st.data())
@settings(max_examples=500, deadline=None)
def test_a_mutated_token_is_refused_and_breaks_nothing(data: st.DataObject) -> None:
    token = sign(CLAIMS, KEY)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(token)))
        end = data.draw(st.integers(start, min(len(token), start + 20)))
        token = token[:start] + data.draw(st.text(CHARACTERS, max_size=20)) + token[end:]
    assume(token != sign(CLAIMS, KEY))

    with pytest.raises(InvalidToken):
        verifier().verify(token, NOW)


@given(st.text(), st.binary(max_size=200), st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_whatever_was_signed_is_refused_or_read_and_breaks_nothing(
    text: str, header: bytes, body: bytes
) -> None:
    for token in (text, forge(claims=body), forge(header=header)):
        with pytest.raises(InvalidToken):
            verifier().verify(token, NOW)


def test_a_good_token_says_what_was_signed() -> None:
    narrowed = msgspec.structs.replace(CLAIMS, scope="", nbf=NOW - 1, act={"sub": "runtime"}, sid=None)

    assert verifier().verify(sign(CLAIMS, KEY), NOW) == CLAIMS
    assert verifier().verify(sign(narrowed, KEY), NOW) == narrowed
    assert verifier().verify(forge(), NOW) == CLAIMS


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_a_library_reads_the_same_token() -> None:
    key = OKPKey.import_key(msgspec.to_builtins(public_jwk(KEY)))

    read = jwt.decode(sign(CLAIMS, KEY), key, algorithms=["EdDSA"])

    assert read.header == HEADER
    assert read.claims == payload()


def test_unknown_claims_are_ignored_because_versions_meet_during_a_roll_out() -> None:
    assert verifier().verify(forge(payload(later="x")), NOW) == CLAIMS


def test_a_token_seen_before_still_expires() -> None:
    check = verifier()
    check.verify(sign(CLAIMS, KEY), NOW)

    with pytest.raises(InvalidToken, match="expired"):
        check.verify(sign(CLAIMS, KEY), NOW + 900)


def test_only_an_unknown_key_of_our_form_is_worth_fetching_keys_for() -> None:
    def unknown(token: str) -> bool:
        with pytest.raises(InvalidToken) as refused:
            verifier().verify(token, NOW)
        return refused.value.unknown_key

    assert unknown(sign(CLAIMS, OTHER))
    worth = [name for name in FORGED if unknown(FORGED[name])]
    assert worth == ["unknown kid", "kid of a path", "kid with SQL"]


def test_a_removed_key_takes_its_verified_tokens_with_it() -> None:
    check = verifier(KEY, OTHER)
    old, new = sign(CLAIMS, KEY), sign(CLAIMS, OTHER)
    assert check.verify(old, NOW) == check.verify(new, NOW)

    check.replace_keys(Jwks(keys=(public_jwk(OTHER),)))

    assert check.verify(new, NOW) == CLAIMS
    with pytest.raises(InvalidToken, match="unknown"):
        check.verify(old, NOW)


def test_dropping_a_session_forgets_its_tokens_and_no_others() -> None:
    check = verifier()
    others = msgspec.structs.replace(CLAIMS, sid=UUID(int=10))
    check.verify(sign(CLAIMS, KEY), NOW)
    check.verify(sign(others, KEY), NOW)

    check.drop(SESSION)
    check.drop(SESSION)

    assert remembered(check) == [sign(others, KEY)]


def test_the_memory_of_verified_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CACHED", 4)
    check = verifier()

    for number in range(9):
        check.verify(sign(msgspec.structs.replace(CLAIMS, jti=str(number), sid=UUID(int=number)), KEY), NOW)

    assert len(remembered(check)) <= 4
    assert len(check._by_session) == len(check._verified)


def test_tokens_that_have_expired_are_forgotten_while_others_come() -> None:
    check = verifier()
    check.verify(sign(CLAIMS, KEY), NOW)
    later = sign(msgspec.structs.replace(CLAIMS, iat=NOW + 900, exp=NOW + 1800, sid=UUID(int=10)), KEY)

    check.verify(later, NOW + 900)

    assert remembered(check) == [later]


def test_a_token_that_verifiers_would_refuse_is_not_signed() -> None:
    with pytest.raises(ValueError, match="long"):
        sign(msgspec.structs.replace(CLAIMS, name="x" * 4000), KEY)


def test_a_signing_key_does_not_show() -> None:
    assert repr(KEY) == "SigningKey(k1)"


def remembered(check: Verifier) -> list[Any]:
    return list(check._verified)
