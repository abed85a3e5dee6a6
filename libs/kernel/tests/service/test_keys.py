"""What a service remembers of verified actors: nothing of a session that ended or a key that is gone, and so many at the most."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polis.proto import Refused
from polis.proto.identity import Jwks, SessionEnded
from polis.proto.problems import Unauthenticated
from polis.service import actor
from polis.service.actor import Keys
from polis.service.tokens import Claims, SigningKey, public_jwk, sign

ORG = UUID(int=1)
FIRST, SECOND = (
    SigningKey(name, Ed25519PrivateKey.from_private_bytes(name.encode() * 16)) for name in ("k1", "k2")
)


class Identity:
    """Says which keys there are."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = keys

    async def call(self, *_, **__):
        return Jwks(keys=tuple(public_jwk(key) for key in self.keys))


def token(number: int, key: SigningKey = FIRST) -> str:
    now = int(time.time())
    return sign(
        Claims(
            sub=UUID(int=100 + number),
            kind="user",
            name="Ada",
            org=ORG,
            orgs={str(ORG): "owner"},
            iat=now,
            exp=now + 900,
            jti=str(number),
            sid=UUID(int=200 + number),
        ),
        key,
    )


def keys_of(identity: Identity) -> Keys:
    return Keys(identity, service="test", credential="")


async def test_an_ended_session_is_forgotten_at_once_and_its_token_refused_while_others_go_on():
    keys = keys_of(Identity(FIRST))
    mine, other = token(1), token(2)
    for each in (mine, other):
        assert await keys.actor(each, None) == keys.known(each, None)

    keys.on_session_ended(
        SessionEnded(org_id=ORG, session_id=UUID(int=201), until=datetime.now(UTC) + timedelta(minutes=15))
    )

    assert keys.known(mine, None) is None
    assert keys.known(other, None)
    with pytest.raises(Refused) as refusal:
        await keys.actor(mine, None)
    assert refusal.value.problem == Unauthenticated()


async def test_a_key_that_is_gone_takes_the_actors_it_vouched_for_with_it():
    identity = Identity(FIRST)
    keys = keys_of(identity)
    old, new = token(1), token(2, SECOND)
    await keys.actor(old, None)

    identity.keys = (SECOND,)
    keys._fetched_at = -100.0
    await keys.actor(new, None)

    assert keys.known(new, None)
    assert keys.known(old, None) is None


async def test_remembered_actors_are_bounded(monkeypatch):
    monkeypatch.setattr(actor, "_ACTORS", 4)
    keys = keys_of(Identity(FIRST))

    for number in range(9):
        await keys.actor(token(number), None)

    assert len(keys._actors) <= 4
    assert keys.known(token(8), None)


async def test_actors_whose_tokens_have_expired_are_forgotten_while_others_come(monkeypatch):
    keys = keys_of(Identity(FIRST))
    old = token(1)
    await keys.actor(old, None)
    now = time.time() + 900
    monkeypatch.setattr(time, "time", lambda: now)

    new = token(2)
    await keys.actor(new, None)

    assert [key for key, _ in keys._actors] == [new]
