"""Tokens through the bus: the published key verifies what is issued, and nothing forged is let in."""

from __future__ import annotations

import time

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polis.db import Database
from polis.identity.tokens.keys import Keyring, utc_now
from polis.proto.identity import GetJwks, GetMe, Introspection, IntrospectToken, Jwks
from polis.proto.problems import Unauthenticated
from polis.service.tokens import Claims, InvalidToken, SigningKey, Verifier, public_jwk, sign
from services.identity.tests import forged

ORG = "00000000-0000-0000-0000-000000000007"
CLAIMS = {
    "sub": "00000000-0000-0000-0000-000000000009",
    "kind": "user",
    "name": "Ada",
    "org": ORG,
    "orgs": {ORG: "owner"},
    "iat": forged.NOW,
    "exp": forged.NOW + forged.LIFETIME_S,
    "jti": "x",
}
KEY = SigningKey("k1", Ed25519PrivateKey.generate())
GOOD, FORGED = forged.tokens(KEY.kid, KEY.private, CLAIMS)


async def test_the_published_key_verifies_an_issued_token(ada, anybody):
    jwks = await anybody.call(GetJwks())
    verifier = Verifier()
    verifier.replace_keys(jwks)

    claims = verifier.verify(ada.token, time.time())

    assert (claims.sub, claims.org, claims.sid) == (ada.id, ada.org_id, ada.session_id)
    assert claims.exp - claims.iat == 900
    assert msgspec.to_builtins(jwks.keys[0]).keys() == {"kty", "crv", "kid", "x", "alg", "use"}


@pytest.fixture
def verifier():
    verifier = Verifier()
    verifier.replace_keys(Jwks((public_jwk(KEY),)))
    return verifier


def test_the_tokens_that_the_forged_ones_are_made_of_are_good(verifier):
    assert verifier.verify(GOOD, forged.NOW + 1).name == "Ada"
    assert sign(msgspec.convert(CLAIMS, Claims), KEY).split(".")[0] == GOOD.split(".")[0]
    assert len(set(FORGED.values()) - {GOOD}) > 120


@pytest.mark.parametrize("name", FORGED)
def test_no_forged_token_verifies(verifier, name):
    verifier.verify(GOOD, forged.NOW + 1)
    with pytest.raises(InvalidToken):
        verifier.verify(FORGED[name], forged.NOW + 1)


async def test_no_forged_token_is_let_in(ada, anybody, refused, running, app_url):
    """The same ones made with the very key that signs here, of the claims of somebody who is signed in."""
    keys = Keyring(running.kernel.settings)
    database = await Database.open(app_url, service="identity", size=1)
    await keys.reload(database, utc_now())
    await database.close()
    key, mine = keys.signing(utc_now()), keys.verify(ada.token, utc_now())
    claims = msgspec.to_builtins(mine) | {"iat": forged.NOW, "exp": forged.NOW + forged.LIFETIME_S}
    good, made = forged.tokens(key.kid, key.private, claims)
    assert (await anybody.using(good).call(GetMe())).principal.id == ada.id

    for name, token in made.items():
        if sent_as_it_is(token):
            assert await refused(anybody.using(token).call(GetMe())) == Unauthenticated(), name
            assert await ada.call(IntrospectToken(token)) == Introspection(active=False), name

    assert await refused(anybody.using(ada.refresh_token).call(GetMe())) == Unauthenticated()
    assert await ada.call(GetMe()) == ada.me


def sent_as_it_is(token):
    """Whether a header carries it: no line breaks, and no spaces around it."""
    return token.isprintable() and token.isascii() and token == token.strip() and len(token) < 4096
