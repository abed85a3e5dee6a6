"""The gateway is the public origin. These operations it answers itself: browser sessions, file uploads, webhooks."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.catalog import (
    MAX_ARTIFACT_BYTES,
    Artifact,
    Digest,
    MediaType,
    NewFileName,
    QuotaExceeded,
    UploadIncomplete,
)
from polis.proto.contract import PUBLIC, SIGNED_IN, Problem, Request, operation, problem
from polis.proto.identity import (
    Code,
    CodeNeeded,
    GivenEmail,
    GivenPassword,
    Me,
    OrgNotFound,
    OverQuota,
    RefreshRefused,
    SecondFactorRequired,
    Token,
    WrongCredentials,
    WrongProof,
)
from polis.proto.runtime import (
    MAX_HOOK_BODY,
    Hooked,
    HookRefused,
    HookUnknown,
    PictureFormat,
    RunNotFound,
)

TICKET_PROTOCOL = "polis.ticket."
"""A ticket behind this is offered as a subprotocol of the WebSocket that it opens: it stands in no URL and no log."""


class BrowserSession(Struct, frozen=True):
    """A session whose tokens lie in httpOnly cookies. `csrf_token` goes into X-CSRF-Token of every change."""

    me: Me
    csrf_token: str
    expires_in_s: int


@problem(status=411)
class LengthRequired(Problem, frozen=True):
    """The size of the body has to be announced with Content-Length."""


@operation(
    http="POST /session",
    scope=PUBLIC,
    problems=(WrongCredentials, SecondFactorRequired, OrgNotFound),
    idempotent=False,
    local=True,
)
class OpenBrowserSession(Request[BrowserSession], frozen=True):
    """Sign in with cookies instead of tokens in the answer."""

    email: GivenEmail
    password: GivenPassword
    org_id: UUID | None = None


@operation(
    http="POST /session/second-factor",
    scope=PUBLIC,
    problems=(WrongCredentials,),
    idempotent=False,
    local=True,
)
class ProveBrowserSession(Request[BrowserSession], frozen=True):
    """Finish signing in with cookies by a code of the second factor."""

    ticket: Token
    code: Code


@operation(
    http="POST /session/confirm",
    scope=SIGNED_IN,
    problems=(WrongProof, CodeNeeded),
    idempotent=False,
    local=True,
)
class ConfirmBrowserSession(Request[BrowserSession], frozen=True):
    """Prove again who one is: the cookies open sensitive operations for some minutes."""

    password: GivenPassword | None = None
    code: Code | None = None


@operation(http="GET /session", scope=SIGNED_IN, local=True)
class GetBrowserSession(Request[BrowserSession], frozen=True):
    """Read the session of the browser's cookies, with the CSRF token that a page needs after it was loaded."""


@operation(
    http="POST /session/refresh", scope=PUBLIC, problems=(RefreshRefused,), idempotent=False, local=True
)
class RefreshBrowserSession(Request[BrowserSession], frozen=True):
    """Renew the cookies with the refresh cookie."""


@operation(http="DELETE /session", scope=SIGNED_IN, idempotent=False, local=True)
class CloseBrowserSession(Request[None], frozen=True):
    """Sign out and drop the cookies."""


class LiveTicket(Struct, frozen=True):
    """A ticket that opens one live connection, once: offered as the subprotocol `polis.ticket.<ticket>` beside `polis.v1.json`."""

    ticket: Token
    expires_in_s: int


@operation(http="POST /live/tickets", scope=SIGNED_IN, idempotent=False, local=True)
class IssueLiveTicket(Request[LiveTicket], frozen=True):
    """Get a ticket for a live connection from a page of another origin, whose sockets carry neither token nor cookie."""


@operation(
    http="POST /artifacts",
    scope="catalog:write",
    problems=(UploadIncomplete, QuotaExceeded, OverQuota, LengthRequired),
    raw_body="content",
    max_body=MAX_ARTIFACT_BYTES,
    idempotent=False,
    local=True,
)
class UploadArtifact(Request[Artifact], frozen=True):
    """Store the body as a file in one request; it is streamed, never held whole."""

    name: NewFileName
    content: bytes
    media_type: MediaType = "application/octet-stream"
    sha256: Digest | None = None


@operation(
    http="POST /hooks/{trigger_id}",
    scope=PUBLIC,
    problems=(HookUnknown, HookRefused),
    raw_body="body",
    max_body=MAX_HOOK_BODY,
    idempotent=False,
    local=True,
    may_be_accepted=True,
)
class CallHook(Request[Hooked], frozen=True):
    """Post to a webhook: signed by Standard Webhooks (webhook-id, -timestamp, -signature), or with its token in X-Hook-Token.

    202 tells the run that was started; where the trigger waits for its end, 200 tells what it came to.
    """

    trigger_id: UUID
    body: bytes


@operation(
    http="GET /runs/{run_id}/drawing",
    scope="runtime:read",
    problems=(RunNotFound,),
    idempotent=False,
    local=True,
)
class DrawRun(Request[bytes], frozen=True):
    """Draw a run as GetRunPicture does, and answer with the image (`image/svg+xml`) or text (`text/vnd.mermaid`) itself."""

    run_id: UUID
    format: PictureFormat = "svg"
