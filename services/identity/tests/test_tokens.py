"""Tokens through the bus: the published key verifies what is issued, and nothing forged is let in."""

from __future__ import annotations

import base64
import time

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polis.proto.identity import GetJwks, GetMe
from polis.proto.problems import Unauthenticated
from polis.service.tokens import Claims, SigningKey, Verifier, sign


async def test_the_published_key_verifies_an_issued_token(ada, anybody):
    jwks = await anybody.call(GetJwks())
    verifier = Verifier()
    verifier.replace_keys(jwks)

    claims = verifier.verify(ada.token, time.time())

    assert (claims.sub, claims.org, claims.sid) == (ada.id, ada.org_id, ada.session_id)
    assert claims.exp - claims.iat == 900
    assert msgspec.to_builtins(jwks.keys[0]).keys() == {"kty", "crv", "kid", "x", "alg", "use"}


async def test_no_forged_token_is_let_in(ada, anybody, refused):
    header, payload, signature = ada.token.split(".")
    kid = msgspec.json.decode(base64.urlsafe_b64decode(header + "=="))["kid"]
    stranger = SigningKey(kid, Ed25519PrivateKey.generate())
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    claims = msgspec.convert(msgspec.json.decode(base64.urlsafe_b64decode(payload + "==")), Claims)
    forged = [
        sign(claims, stranger),
        sign(claims, SigningKey("unknown", stranger.private)),
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        f"{header}.{payload}.{signature[:-2]}AA",
        f"{header}.{payload[:-4]}AAAA.{signature}",
        f"{header}.{payload}",
        ada.token + "=",
        ada.token.upper(),
        "x",
        "." * 4000,
        ada.refresh_token,
    ]

    for token in forged:
        assert await refused(anybody.using(token).call(GetMe())) == Unauthenticated()
    assert await ada.call(GetMe()) == ada.me
