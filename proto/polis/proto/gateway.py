"""The gateway is the public origin. These operations it answers itself: browser sessions and file uploads."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct
from polis.proto.catalog import MAX_ARTIFACT_BYTES, Artifact, Digest, FileName, MediaType, UploadIncomplete
from polis.proto.contract import PUBLIC, SIGNED_IN, Request, operation
from polis.proto.identity import Me, RefreshRefused, WrongCredentials


class BrowserSession(Struct, frozen=True):
    """A session whose tokens lie in httpOnly cookies. `csrf_token` goes into X-CSRF-Token of every change."""

    me: Me
    csrf_token: str
    expires_in_s: int


@operation(http="POST /session", scope=PUBLIC, problems=(WrongCredentials,), idempotent=False, local=True)
class OpenBrowserSession(Request[BrowserSession], frozen=True):
    """Sign in with cookies instead of tokens in the answer."""

    email: Annotated[str, Meta(max_length=254)]
    password: Annotated[str, Meta(max_length=256)]
    org_id: UUID | None = None


@operation(
    http="POST /session/refresh", scope=PUBLIC, problems=(RefreshRefused,), idempotent=False, local=True
)
class RefreshBrowserSession(Request[BrowserSession], frozen=True):
    """Renew the cookies with the refresh cookie."""


@operation(http="DELETE /session", scope=SIGNED_IN, idempotent=False, local=True)
class CloseBrowserSession(Request[None], frozen=True):
    """Sign out and drop the cookies."""


@operation(
    http="POST /artifacts",
    scope="catalog:write",
    problems=(UploadIncomplete,),
    raw_body="content",
    max_body=MAX_ARTIFACT_BYTES,
    idempotent=False,
    local=True,
)
class UploadArtifact(Request[Artifact], frozen=True):
    """Store the body as a file in one request; it is streamed, never held whole."""

    name: FileName
    content: bytes
    media_type: MediaType = "application/octet-stream"
    sha256: Digest | None = None
