"""Signatures: a version is vouched for by a key that its publisher alone holds, and everybody can check that."""

from __future__ import annotations

import base64
import json
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from polis.catalog.signatures import rows
from polis.proto.catalog import (
    AddPublisherKey,
    CreateResource,
    DeleteResource,
    ForeignResource,
    ListPublisherKeys,
    ListSignatures,
    PublisherKeyNotFound,
    PublisherKeyTaken,
    PublishVersion,
    QuotaExceeded,
    ResourceNotFound,
    RevokePublisherKey,
    SignatureInvalid,
    SignVersion,
    VersionNotFound,
)

ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7


def text(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Pen:
    """A private key, and what can be done with it."""

    def __init__(self):
        self.private = Ed25519PrivateKey.generate()
        self.public = text(self.private.public_key().public_bytes_raw())

    def sign(self, content):
        return text(self.private.sign(content))

    def add(self, principal_id, name="Laptop"):
        return AddPublisherKey(name, self.public, self.sign(f"polis publisher key {principal_id}".encode()))


def statement(version):
    told = {"digest": version.digest, "key": version.key, "polis": "version", "type": version.type}
    return json.dumps(told, separators=(",", ":")).encode()


@pytest.fixture
def pen():
    return Pen()


@pytest.fixture
def publish(ada):
    async def publish(client=ada, key="rule", **more):
        made = await client.call(CreateResource(type="policy", key=key, content={"of": key}, **more))
        return await client.call(PublishVersion(made.id))

    return publish


async def test_a_version_is_vouched_for_and_any_reader_can_check_it(ada, ben, pen, publish):
    version = await publish(visibility="public")
    key = await ada.call(pen.add(ada.principal_id))

    signed = await ada.call(SignVersion(version.resource_id, "1", key.id, pen.sign(statement(version))))

    [read] = (await ben.call(ListSignatures(version.resource_id, version.digest))).items
    assert read == signed
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(read.public_key + "="))
    public.verify(base64.urlsafe_b64decode(read.signature + "=="), statement(version))
    assert (read.principal_id, read.revoked_at) == (ada.principal_id, None)
    assert await ada.call(SignVersion(version.resource_id, "1", key.id, read.signature)) == signed


async def test_an_org_has_so_many_keys_and_revoking_one_makes_room(ada, ben, pen, refused, monkeypatch):
    monkeypatch.setattr(rows, "MAX_PUBLISHER_KEYS", 2)
    key = await ada.call(pen.add(ada.principal_id))
    await ada.call(Pen().add(ada.principal_id))

    full = QuotaExceeded(quota="publisher_keys", limit=2, used=2)
    assert await refused(ada.call(Pen().add(ada.principal_id))) == full
    assert await ben.call(Pen().add(ben.principal_id))
    await ada.call(RevokePublisherKey(key.id))
    assert await ada.call(Pen().add(ada.principal_id))


async def test_what_is_not_signed_by_the_key_is_refused(ada, pen, publish, refused):
    version, other = await publish(), await publish(key="other")
    key = await ada.call(pen.add(ada.principal_id))

    for signature in (pen.sign(statement(other)), Pen().sign(statement(version)), text(bytes(64))):
        signing = SignVersion(version.resource_id, "1", key.id, signature)
        assert await refused(ada.call(signing)) == SignatureInvalid()
    right = pen.sign(statement(version))
    for number, problem in (("2", VersionNotFound(version="2")),):
        assert await refused(ada.call(SignVersion(version.resource_id, number, key.id, right))) == problem
    assert (await ada.call(ListSignatures(version.resource_id, "1"))).items == ()


async def test_a_key_is_added_by_who_holds_it_once(ada, pen, refused):
    stolen = pen.add(uuid4())
    assert await refused(ada.call(stolen)) == SignatureInvalid()

    key = await ada.call(pen.add(ada.principal_id))
    assert await refused(ada.call(pen.add(ada.principal_id))) == PublisherKeyTaken()
    assert (await ada.call(ListPublisherKeys())).items == (key,)


@pytest.mark.parametrize("key", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, 2**255, 2**255 + 1, ORDER_8])
async def test_a_key_under_which_one_signature_fits_many_messages_is_no_key(ada, refused, key):
    for signature in (bytes(64), bytes([1]) + bytes(63)):
        for _ in range(8):
            added = AddPublisherKey("Weak", text(key.to_bytes(32, "little")), text(signature))
            assert await refused(ada.member("owner").call(added)) == SignatureInvalid()


async def test_a_key_signs_for_its_own_principal_alone(ada, ben, pen, publish, refused):
    version = await publish(visibility="public")
    key = await ada.call(pen.add(ada.principal_id))
    signing = SignVersion(version.resource_id, "1", key.id, pen.sign(statement(version)))

    missing = PublisherKeyNotFound(key_id=key.id)
    assert await refused(ada.member("admin").call(signing)) == missing
    assert await refused(ben.call(signing)) == ForeignResource(resource=str(version.resource_id))
    assert await refused(ben.call(RevokePublisherKey(key.id))) == missing
    assert await refused(ada.member("member").call(RevokePublisherKey(key.id))) == missing
    assert (await ben.call(ListPublisherKeys())).items == ()


async def test_a_revoked_key_signs_no_more_and_its_signatures_say_so(ada, pen, publish, refused):
    version = await publish()
    key = await ada.call(pen.add(ada.principal_id))
    signing = SignVersion(version.resource_id, "1", key.id, pen.sign(statement(version)))
    await ada.call(signing)

    await ada.member("admin").call(RevokePublisherKey(key.id))

    assert await refused(ada.call(signing)) == PublisherKeyNotFound(key_id=key.id)
    [signature] = (await ada.call(ListSignatures(version.resource_id, "1"))).items
    assert signature.revoked_at is not None
    assert (await ada.call(ListPublisherKeys())).items[0].revoked_at == signature.revoked_at


async def test_signatures_go_with_their_resource_and_are_hidden_with_it(ada, ben, pen, publish, refused):
    version = await publish()
    key = await ada.call(pen.add(ada.principal_id))
    await ada.call(SignVersion(version.resource_id, "1", key.id, pen.sign(statement(version))))
    missing = ResourceNotFound(resource=str(version.resource_id))

    assert await refused(ben.call(ListSignatures(version.resource_id, "1"))) == missing
    await ada.call(DeleteResource(version.resource_id))
    assert await refused(ada.call(ListSignatures(version.resource_id, "1"))) == missing
