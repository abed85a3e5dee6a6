"""Signing keys: sealed at rest, several at a time, followed by all replicas; and what is accepted as a token."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polis.db import Database
from polis.identity.config import Config
from polis.identity.seal import OtherSecret, Seal
from polis.identity.tokens.keys import Keyring, utc_now
from polis.service import Secret
from polis.service.config import BadSettings
from polis.service.tokens import Claims, InvalidToken, Verifier, sign


@pytest.fixture
async def database(app_url):
    database = await Database.open(app_url, service="identity", size=2)
    yield database
    await database.close()


@pytest.fixture
def config(mesh_secret):
    return Config(mesh_secret=Secret(mesh_secret), key_lifetime_s=86_400, key_reload_s=30.0)


@pytest.fixture
async def now(rows):
    """A table without keys, before and after: these tests make some of the future."""
    await rows("delete from identity.signing_keys")
    yield utc_now()
    await rows("delete from identity.signing_keys")


class TestSeal:
    def test_what_is_sealed_opens_to_the_same(self):
        seal = Seal("a" * 32, "keys")

        assert seal.open("k1", seal.close("k1", b"private")) == b"private"

    def test_nothing_of_the_plain_bytes_is_in_the_sealed_ones(self):
        plain = Ed25519PrivateKey.generate().private_bytes_raw()

        sealed = Seal("a" * 32, "keys").close("k1", plain)

        assert plain not in sealed
        assert sealed != Seal("a" * 32, "keys").close("k1", plain)

    @pytest.mark.parametrize(
        ("secret", "purpose", "name", "change"),
        [
            ("b" * 32, "keys", "k1", 0),
            ("a" * 32, "mails", "k1", 0),
            ("a" * 32, "keys", "k2", 0),
            ("a" * 32, "keys", "k1", 1),
        ],
    )
    def test_another_secret_purpose_or_name_or_changed_bytes_do_not_open_it(
        self, secret, purpose, name, change
    ):
        sealed = bytearray(Seal("a" * 32, "keys").close("k1", b"private"))
        sealed[-1] ^= change

        with pytest.raises(OtherSecret):
            Seal(secret, purpose).open(name, bytes(sealed))


class TestRotation:
    async def test_replicas_that_start_together_share_one_key(self, database, config, now):
        rings = [Keyring(config) for _ in range(3)]
        for ring in rings:
            await ring.reload(database, now)

        assert len({ring.signing(now).kid for ring in rings}) == 1
        assert all(ring.jwks() == rings[0].jwks() for ring in rings)

    async def test_a_successor_is_published_before_it_signs_and_the_old_key_after(
        self, database, config, now
    ):
        ring = Keyring(config)
        await ring.reload(database, now)
        old = ring.signing(now).kid
        due = now + timedelta(days=1)

        await ring.reload(database, due)

        kids = [key.kid for key in ring.jwks().keys]
        assert (len(kids), kids[0], ring.signing(due).kid) == (2, old, old)
        signs = due + timedelta(seconds=61)
        assert ring.signing(signs).kid == kids[1]
        await ring.reload(database, signs + timedelta(seconds=900))
        assert [key.kid for key in ring.jwks().keys] == kids
        await ring.reload(database, signs + timedelta(seconds=960))
        assert [key.kid for key in ring.jwks().keys] == [kids[1]]

    async def test_no_token_is_refused_while_keys_rotate(self, database, config, now):
        """Two replicas that look for keys at different times; the verifier asks either, and only when it must."""
        one, two, verifier = Keyring(config), Keyring(config), Verifier()
        await one.reload(database, now)
        await two.reload(database, now)
        start = now + timedelta(days=1) - timedelta(seconds=60)
        verifier.replace_keys(one.jwks())

        for second in range(0, 1200, 5):
            at = start + timedelta(seconds=second)
            if second % 30 == 0:
                await one.reload(database, at)
            if second % 30 == 25:
                await two.reload(database, at)
            for signer, answering in ((one, two), (two, one)):
                token = sign(claims(at), signer.signing(at))
                try:
                    verifier.verify(token, at.timestamp())
                except InvalidToken as error:
                    if not error.unknown_key:
                        raise
                    verifier.replace_keys(answering.jwks())
                    verifier.verify(token, at.timestamp())

    async def test_a_key_made_by_a_clock_ahead_of_ours_signs_all_the_same(self, database, config, now):
        await Keyring(config).reload(database, now + timedelta(minutes=1))
        ring = Keyring(config)

        await ring.reload(database, now)

        assert ring.signing(now).kid == ring.jwks().keys[0].kid

    async def test_a_replica_with_another_secret_does_not_start_and_changes_nothing(
        self, database, config, now, rows
    ):
        await Keyring(config).reload(database, now)
        before = await rows("select * from identity.signing_keys")

        with pytest.raises(BadSettings, match="POLIS_MESH_SECRET"):
            await Keyring(msgspec.structs.replace(config, mesh_secret=Secret("y" * 32))).reload(database, now)

        assert await rows("select * from identity.signing_keys") == before

    @pytest.mark.parametrize("secret", ["", "short"])
    def test_a_short_secret_is_no_secret(self, config, secret):
        with pytest.raises(BadSettings, match="32 characters"):
            msgspec.structs.replace(config, mesh_secret=Secret(secret)).check()


def claims(at):
    issued = int(at.timestamp())
    org = UUID(int=7)
    return Claims(
        sub=org,
        kind="user",
        name="x",
        org=org,
        orgs={str(org): "owner"},
        iat=issued,
        exp=issued + 900,
        jti="x",
    )
