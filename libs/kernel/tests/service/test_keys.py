"""What a service remembers of verified actors: nothing of a session that ended or a key that is gone, and so many at the most."""

from __future__ import annotations

import asyncio
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
    """Says which keys there are, when it `speaks`; asked: how often."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = keys
        self.asked = 0
        self.speaks = asyncio.Event()
        self.speaks.set()

    async def call(self, *_, **__):
        self.asked += 1
        await self.speaks.wait()
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


async def test_all_who_wait_for_keys_go_on_in_one_turn_of_the_loop():
    """Who comes when one of them is known does not wait: they would pass those who came before."""
    identity, order = Identity(FIRST), []
    identity.speaks.clear()
    keys = keys_of(identity)

    async def ask(number):
        await keys.actor(token(number), None)
        if not order:
            asyncio.get_running_loop().call_soon(order.append, "the next turn")
        order.append(number)

    asking = [asyncio.create_task(ask(number)) for number in range(5)]
    await asyncio.sleep(0)
    identity.speaks.set()
    await asyncio.wait(asking)
    await asyncio.sleep(0)

    assert order == [0, 1, 2, 3, 4, "the next turn"]
    assert identity.asked == 1


async def test_who_gives_up_takes_the_keys_from_nobody_else_who_waits_for_them():
    identity = Identity(FIRST)
    identity.speaks.clear()
    keys = keys_of(identity)
    given_up, other = (asyncio.create_task(keys.actor(token(number), None)) for number in range(2))
    await asyncio.sleep(0)

    given_up.cancel()
    await asyncio.wait([given_up])
    identity.speaks.set()

    assert await other
    assert identity.asked == 1
