"""Signatures: who vouches for a version, with a key that never leaves its publisher."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog.bounds import QuotaExceeded
from polis.proto.catalog.resources import ForeignResource, ResourceNotFound
from polis.proto.catalog.versions import VersionNotFound
from polis.proto.catalog.words import NewTitle, Title, VersionName, VersionNumber
from polis.proto.contract import Cursor, Limit, Page, Problem, Request, Time, operation, problem

PublicKey = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{43}$(?!\n)",
        description="An Ed25519 public key, 32 bytes in base64url without padding.",
        examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"],
    ),
]
SignatureText = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{86}$(?!\n)",
        description="An Ed25519 signature, 64 bytes in base64url without padding.",
        examples=["A" * 86],
    ),
]


class PublisherKey(Struct, frozen=True):
    """A public key with which a principal signs what it publishes."""

    id: UUID
    principal_id: UUID
    name: Title
    public_key: PublicKey
    created_at: Time
    revoked_at: Time | None = None


class Signature(Struct, frozen=True):
    """A signature of a version's type, key and digest; `revoked_at` when its key counts no longer."""

    resource_id: UUID
    number: VersionNumber
    key_id: UUID
    principal_id: UUID
    public_key: PublicKey
    signature: SignatureText
    signed_at: Time
    revoked_at: Time | None = None


@problem(status=404)
class PublisherKeyNotFound(Problem, frozen=True):
    """The org has no such key that still counts, or it is somebody else's."""

    key_id: UUID


@problem(status=409)
class PublisherKeyTaken(Problem, frozen=True):
    """The org knows this public key already."""


@problem(status=422)
class SignatureInvalid(Problem, frozen=True):
    """The signature is not one of these bytes by this key."""


@operation(
    http="POST /publisher-keys",
    scope="catalog:write",
    problems=(PublisherKeyTaken, SignatureInvalid, QuotaExceeded),
    by_person=True,
)
class AddPublisherKey(Request[PublisherKey], frozen=True):
    """Make a public key known as one's own.

    `proof` signs, with the key that belongs to it, the UTF-8 of `polis publisher key `, the caller's principal id.
    """

    name: NewTitle
    public_key: PublicKey
    proof: SignatureText


@operation(http="GET /publisher-keys", scope="catalog:read")
class ListPublisherKeys(Request[Page[PublisherKey]], frozen=True):
    """List the keys of the org's publishers, newest first."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(http="DELETE /publisher-keys/{key_id}", scope="catalog:write", problems=(PublisherKeyNotFound,))
class RevokePublisherKey(Request[None], frozen=True):
    """Let a key of one's own, or as an owner or admin any, count no longer; its signatures are told as revoked."""

    key_id: UUID


@operation(
    http="POST /resources/{resource_id}/versions/{version}/signatures",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource, VersionNotFound, PublisherKeyNotFound, SignatureInvalid),
    by_person=True,
)
class SignVersion(Request[Signature], frozen=True):
    """Vouch for a version of the org with a key of one's own.

    Signed is the canonical JSON (RFC 8785) `{"digest":"...","key":"...","polis":"version","type":"..."}` of the version.
    """

    resource_id: UUID
    version: VersionName
    key_id: UUID
    signature: SignatureText


@operation(
    http="GET /resources/{resource_id}/versions/{version}/signatures",
    scope="catalog:read",
    problems=(ResourceNotFound, VersionNotFound),
)
class ListSignatures(Request[Page[Signature]], frozen=True):
    """List who vouches for a version; everybody who may read it can check that."""

    resource_id: UUID
    version: VersionName
    after: Cursor | None = None
    limit: Limit = 50
