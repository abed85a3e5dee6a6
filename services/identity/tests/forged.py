"""Tokens that nobody may accept, as data: what each changes of one that is good.

A row is a name and changes: `header` and `claims` are merged over the good ones (`ABSENT` leaves a name out), `raw_header` and
`raw_claims` are texts that stand instead, `by` tells who signs, `signature` and `token` change what came of that.
Unless it says otherwise, a row is signed with the mesh's own key: not even that lets it in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ABSENT = object()
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group of Ed25519: a signature's second half plus this is another spelling of the same."""
NOW = int(time.time())
"""When the tests were read: they may be run long after that."""
LIFETIME_S = 3_600
"""As long as any token may live."""
DAY = 86_400

CLAIMS = {
    "no expiry": {"exp": ABSENT},
    "expired": {"iat": NOW - 1800, "exp": NOW - 900},
    "expiry as text": {"exp": str(NOW + LIFETIME_S)},
    "expiry as a float": {"exp": float(NOW + LIFETIME_S)},
    "expiry as null": {"exp": None},
    "expiry as true": {"exp": True},
    "expiry in milliseconds": {"exp": (NOW + LIFETIME_S) * 1000},
    "expiry before issue": {"exp": NOW + 10, "iat": NOW + 20},
    "negative expiry": {"exp": -1},
    "no time of issue": {"iat": ABSENT},
    "issued tomorrow": {"iat": NOW + DAY, "exp": NOW + DAY + LIFETIME_S},
    "good only from tomorrow": {"nbf": NOW + DAY},
    "lives a day": {"exp": NOW + DAY},
    "no audience": {"aud": ABSENT},
    "audience of another service": {"aud": "catalog"},
    "audience of many": {"aud": ["polis", "catalog"]},
    "audience as a list": {"aud": ["polis"]},
    "audience as null": {"aud": None},
    "audience in capitals": {"aud": "POLIS"},
    "no issuer": {"iss": ABSENT},
    "another issuer": {"iss": "https://polis.example.org"},
    "issuer with a space": {"iss": "polis "},
    "no subject": {"sub": ABSENT},
    "subject that is no id": {"sub": "admin"},
    "subject as a number": {"sub": 1},
    "no org": {"org": ABSENT},
    "org that is none of its orgs": {"org": "00000000-0000-0000-0000-0000000000ff"},
    "orgs as a list": {"orgs": ["owner"]},
    "role as a list": {"orgs": {"00000000-0000-0000-0000-000000000007": ["owner"]}},
    "no orgs": {"orgs": ABSENT},
    "no id": {"jti": ABSENT},
    "no kind": {"kind": ABSENT},
    "session that is no id": {"sid": "*"},
    "scope as a list": {"scope": ["catalog:read"]},
    "deputy as text": {"act": "runtime"},
}
RAW_CLAIMS = {
    "two expiries": lambda good: good[:-1] + f',"exp":{NOW + LIFETIME_S}}}',
    "two subjects": lambda good: '{"sub":"00000000-0000-0000-0000-0000000000aa",' + good[1:],
    "two audiences": lambda good: '{"aud":"catalog",' + good[1:],
    "two names by escape": lambda good: good[:-1] + ',"\\u0073ub":"00000000-0000-0000-0000-0000000000aa"}',
    "expiry of infinity": lambda good: good.replace(f'"exp":{NOW + LIFETIME_S}', '"exp":Infinity'),
    "expiry of no number": lambda good: good.replace(f'"exp":{NOW + LIFETIME_S}', '"exp":NaN'),
    "expiry of 1e400": lambda good: good.replace(f'"exp":{NOW + LIFETIME_S}', '"exp":1e400'),
    "a list": lambda good: f"[{good}]",
    "a text": json.dumps,
    "nothing": lambda _: "",
    "null": lambda _: "null",
    "an empty object": lambda _: "{}",
    "more behind it": lambda good: good + good,
    "a comma too many": lambda good: good[:-1] + ",}",
    "a byte order mark": lambda good: "\ufeff" + good,
    "single quotes": lambda good: good.replace('"', "'"),
    "a thousand brackets": lambda _: "[" * 1000,
}
HEADERS = {
    "kid of nobody": {"kid": "AAAAAAAAAAAA"},
    "no kid": {"kid": ABSENT},
    "empty kid": {"kid": ""},
    "kid as a list": {"kid": ["k"]},
    "kid as a path": {"kid": "../../../../dev/null"},
    "kid as SQL": {"kid": "x' union select 'secret"},
    "algorithm in small letters": {"alg": "eddsa"},
    "algorithm by its newer name": {"alg": "Ed25519"},
    "no algorithm": {"alg": ABSENT},
    "algorithm as null": {"alg": None},
    "algorithms as a list": {"alg": ["EdDSA", "none"]},
    "type of an id token": {"typ": "JWT"},
    "type in capitals": {"typ": "AT+JWT"},
    "no type": {"typ": ABSENT},
    "type of a logout": {"typ": "logout+jwt"},
    "a key of its own": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}},
    "an address of keys": {"jku": "https://example.org/jwks"},
    "an address of certificates": {"x5u": "https://example.org/x5u"},
    "certificates": {"x5c": ["AAAA"]},
    "critical extensions": {"crit": ["exp"]},
    "text that is not encoded": {"b64": False, "crit": ["b64"]},
    "compressed": {"zip": "DEF"},
    "a token in it": {"cty": "JWT"},
}
RAW_HEADERS = {
    "other order": lambda h: json.dumps(dict(reversed(h.items())), separators=(",", ":")),
    "with spaces": json.dumps,
    "two algorithms": lambda h: '{"alg":"none",' + json.dumps(h, separators=(",", ":"))[1:],
    "escaped letters": lambda h: json.dumps(h, separators=(",", ":")).replace("EdDSA", "\\u0045dDSA"),
    "a list of headers": lambda h: json.dumps([h]),
    "an empty header": lambda _: "{}",
    "no JSON as header": lambda _: "EdDSA",
    "a newline behind the header": lambda h: json.dumps(h, separators=(",", ":")) + "\n",
}
SIGNERS = {
    "signed by nobody, algorithm none": ({"alg": "none"}, "nobody"),
    "signed by nobody, algorithm None": ({"alg": "None"}, "nobody"),
    "signed by nobody, algorithm nOnE": ({"alg": "nOnE"}, "nobody"),
    "signed by nobody": ({}, "nobody"),
    "algorithm none, signed all the same": ({"alg": "none"}, "mesh"),
    "signed by a stranger under our kid": ({}, "stranger"),
    "signed by a stranger under another kid": ({"kid": "BBBBBBBBBBBB"}, "stranger"),
    "the public key as a shared secret": ({"alg": "HS256"}, "public key"),
    "the published x as a shared secret": ({"alg": "HS256"}, "published x"),
    "the kid as a shared secret": ({"alg": "HS256"}, "kid"),
    "a shared secret under our algorithm": ({}, "public key"),
    "another curve under our kid": ({}, "ed448"),
    "another curve, told": ({"crv": "Ed448"}, "ed448"),
    "P-256 under our algorithm": ({}, "p256"),
    "P-256": ({"alg": "ES256"}, "p256"),
    "RSA": ({"alg": "RS256"}, "rsa"),
    "RSA-PSS": ({"alg": "PS256"}, "rsa"),
}
SIGNATURES = {
    "empty": lambda _: b"",
    "zeros": lambda _: bytes(64),
    "cut": lambda s: s[:-1],
    "a byte longer": lambda s: s + b"\0",
    "twice": lambda s: s + s,
    "halves swapped": lambda s: s[32:] + s[:32],
    "a bit changed": lambda s: bytes([s[0] ^ 1]) + s[1:],
    "its other spelling": lambda s: (
        s[:32] + (int.from_bytes(s[32:], "little") + ORDER).to_bytes(32, "little")
    ),
}
TEXTS = {
    "padding behind it": lambda t: t + "=",
    "padding in the middle": lambda t: t.replace(".", "=.", 1),
    "spare bits of the signature": lambda t: t[:-1] + chr(ord(t[-1]) + 1),
    "spare bits of the claims": lambda t: spare(t, 1),
    "the other alphabet": lambda t: t.rpartition(".")[0] + "." + "+/" + t.rpartition(".")[2][2:],
    "a space before it": lambda t: " " + t,
    "a newline behind it": lambda t: t + "\n",
    "a newline within": lambda t: t[:50] + "\n" + t[50:],
    "two parts": lambda t: t.rpartition(".")[0],
    "four parts": lambda t: t + "." + t.rpartition(".")[2],
    "five parts": lambda t: t + ".AAAA.AAAA",
    "an empty part": lambda t: t.replace(".", "..", 1),
    "in capitals": lambda t: t.upper(),
    "its scheme within": lambda t: "Bearer " + t,
    "as JSON": lambda t: json.dumps(
        dict(zip(("protected", "payload", "signature"), t.split("."), strict=True))
    ),
    "twice in one": lambda t: f"{t},{t}",
    "a letter that looks the same": lambda t: t.replace("e", "\u0435", 1),
    "a null byte behind it": lambda t: t + "\0",
    "too long": lambda t: t + "A" * 5000,
    "the header of another": lambda t: encoded(b'{"alg":"none"}') + t[t.index(".") :],
    "the claims of another": lambda t: swapped(
        t, orgs={"00000000-0000-0000-0000-000000000007": "administrator"}
    ),
    "a later expiry": lambda t: swapped(t, exp=NOW + 1000),
    "another subject": lambda t: swapped(t, sub="00000000-0000-0000-0000-0000000000aa"),
}


def tokens(kid, private, claims):
    """Every forged token by its name, made of the mesh's own key and of claims that would be let in; and that good one."""
    header = {"alg": "EdDSA", "kid": kid, "typ": "at+jwt"}
    claims = {"iss": "polis", "aud": "polis"} | claims
    make = Forger(kid, private)
    good = make(header, claims)
    made = {f"claims: {name}": make(header, merged(claims, c)) for name, c in CLAIMS.items()}
    for name, change in RAW_CLAIMS.items():
        made[f"claims: {name}"] = make(header, change(compact(claims)))
    made |= {f"header: {name}": make(merged(header, h), claims) for name, h in HEADERS.items()}
    made |= {f"header: {name}": make(change(header), claims) for name, change in RAW_HEADERS.items()}
    for name, (change, by) in SIGNERS.items():
        made[f"signer: {name}"] = make(merged(header, change), claims, by)
    body, _, signature = good.rpartition(".")
    for name, change in SIGNATURES.items():
        made[f"signature: {name}"] = f"{body}.{encoded(change(decoded(signature)))}"
    made |= {f"text: {name}": change(good) for name, change in TEXTS.items()}
    return good, made


class Forger:
    """Makes tokens in the name of a key."""

    def __init__(self, kid, private):
        public = private.public_key().public_bytes_raw()
        self._signers = {
            "mesh": private.sign,
            "nobody": lambda _: b"",
            "stranger": Ed25519PrivateKey.generate().sign,
            "public key": shared(public),
            "published x": shared(encoded(public).encode()),
            "kid": shared(kid.encode()),
            "ed448": Ed448PrivateKey.generate().sign,
            "p256": p256(ec.generate_private_key(ec.SECP256R1())),
            "rsa": with_rsa(rsa.generate_private_key(public_exponent=65_537, key_size=2048)),
        }

    def __call__(self, header, claims, by="mesh"):
        parts = [part if isinstance(part, str) else compact(part) for part in (header, claims)]
        signed = ".".join(encoded(part.encode()) for part in parts)
        return f"{signed}.{encoded(self._signers[by](signed.encode()))}"


def shared(secret):
    return lambda signed: hmac.digest(secret, signed, hashlib.sha256)


def p256(key):
    return lambda signed: key.sign(signed, ec.ECDSA(hashes.SHA256()))


def with_rsa(key):
    return lambda signed: key.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def merged(good, changes):
    return {name: value for name, value in (good | changes).items() if value is not ABSENT}


def swapped(token, **changes):
    """Other claims under the signature of the good ones."""
    header, claims, signature = token.split(".")
    return ".".join((header, encoded(compact(json.loads(decoded(claims)) | changes).encode()), signature))


def spare(token, part):
    """The same bytes spelled otherwise: bits that no byte takes are set in the last letter, or one byte more where there are none."""
    parts = token.split(".")
    parts[part] = parts[part][:-1] + ("B" if parts[part][-1] != "B" else "C")
    return ".".join(parts)


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
