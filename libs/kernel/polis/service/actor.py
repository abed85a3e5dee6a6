"""Who calls: the verified actor of a request, and the keys and revocations by which it is verified."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import INTERNAL, PUBLIC, SIGNED_IN, Refused
from polis.proto.contract import FRESH_S
from polis.proto.identity import (
    ROLE_SCOPES,
    GetJwks,
    ListRevocations,
    SessionEnded,
    SignInClient,
)
from polis.proto.problems import Forbidden, SecondFactorMissing, StepUpRequired, Unauthenticated, Unavailable
from polis.service.tokens import SWEEP_S, InvalidToken, Verifier
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.proto import Operation
    from polis.service.call import Caller
    from polis.service.tokens import Claims

NOBODY = UUID(int=0)
BY_KEY = "key:"
"""Before the id of an API key, in what a token says of who holds it."""
_REFETCH_S = 5.0
_FETCH_TIMEOUT_S = 2.0
_ACTORS = 20_000
"""Verified actors kept; beyond it all are dropped and verified anew, which costs 40 us each."""
_RENEW_AT = 0.6
"""A service renews its own token after this share of its lifetime."""


class Actor(Struct, frozen=True):
    """A verified principal in one org. `scopes` is what it may do there: nothing while its role lacks a second factor.

    proved_at: unix seconds of the last proof of who a person is; proved_by: what that was (RFC 8176: pwd, otp).
    """

    principal_id: UUID
    kind: str
    org_id: UUID
    role: str
    scopes: frozenset[str]
    name: str = ""
    session_id: UUID | None = None
    acting: str = ""
    token: str = ""
    proved_at: int = 0
    proved_by: tuple[str, ...] = ()
    unproved: bool = False

    @property
    def of_mesh(self) -> bool:
        """Whether this is a service of the mesh as itself: no org's program and nobody's deputy."""
        return self.kind == "service" and self.role == "service" and not self.acting

    @property
    def key_id(self) -> UUID | None:
        """The API key by which the principal acts, if it is one."""
        return UUID(self.acting.removeprefix(BY_KEY)) if self.acting.startswith(BY_KEY) else None

    def demand(self, scope: str) -> None:
        """Refused(Forbidden) unless the actor holds this scope."""
        if scope not in self.scopes:
            raise Refused(Forbidden(scope=scope))


ANONYMOUS = Actor(NOBODY, "anonymous", NOBODY, "", frozenset())
_UNKNOWN = (ANONYMOUS, 0.0)


def actor_of(claims: Claims, token: str, org: str | None) -> Actor:
    """The actor that a verified token speaks for, in the org it names or that `org` selects among its orgs."""
    org_id, role = claims.org, claims.orgs.get(str(claims.org), "")
    if org is not None:
        if org not in claims.orgs:
            raise Refused(Forbidden(scope="org"), f"the token holds no org {org}")
        org_id, role = UUID(org), claims.orgs[org]
    own = claims.scopes.get(str(org_id))
    scopes = ROLE_SCOPES.get(role, frozenset()) if own is None else frozenset(own.split())
    if claims.scope is not None:
        scopes &= frozenset(claims.scope.split())
    unproved = str(org_id) in claims.unproved
    return Actor(
        principal_id=claims.sub,
        kind=claims.kind,
        org_id=org_id,
        role=role,
        scopes=frozenset() if unproved else scopes,
        name=claims.name,
        session_id=claims.sid,
        acting=claims.act["sub"] if claims.act else "",
        token=token,
        proved_at=claims.auth_time or 0,
        proved_by=claims.amr,
        unproved=unproved,
    )


def admit(operation: Operation, actor: Actor) -> None:
    """Refuse an actor that the operation's scope does not let in."""
    if operation.scope == PUBLIC:
        return
    if actor.kind == "anonymous":
        raise Refused(Unauthenticated())
    if operation.scope == INTERNAL:
        if not actor.of_mesh:
            raise Refused(Forbidden(scope=INTERNAL))
        return
    if operation.scope != SIGNED_IN:
        if actor.unproved:
            raise Refused(SecondFactorMissing())
        actor.demand(operation.scope)
    if operation.fresh:
        if actor.kind != "user" or actor.acting:
            raise Refused(Forbidden(scope="session"), "only a signed-in user can do this")
        if actor.proved_at + FRESH_S <= time.time():
            raise Refused(StepUpRequired(max_age_s=FRESH_S))


class Keys:
    """The mesh's public keys, ended sessions, and this service's own token; kept fresh through the bus.

    A token is verified here without a call. Only an unknown key id asks identity, at most every five seconds.
    """

    def __init__(self, caller: Caller, *, service: str, credential: str) -> None:
        self._caller = caller
        self._service = service
        self._credential = credential
        self._verifier = Verifier()
        self._revoked: dict[UUID, float] = {}
        self._actors: dict[tuple[str, str | None], tuple[Actor, float]] = {}
        self._sweep_at = 0.0
        self._fetched_at = -_REFETCH_S
        self._fetching: asyncio.Task[None] | None = None
        self._own = ("", 0.0)

    @property
    def ready(self) -> bool:
        return self._verifier.has_keys

    async def actor(self, token: str | None, org: str | None) -> Actor:
        """The verified actor; ANONYMOUS without a token; Refused(Unauthenticated) for one that is not valid."""
        if not token:
            return ANONYMOUS
        try:
            return self._verified(token, org)
        except InvalidToken as error:
            if not error.unknown_key and self.ready:
                raise Refused(Unauthenticated(), error.reason) from None
        await self.refresh()
        try:
            return self._verified(token, org)
        except InvalidToken as error:
            raise Refused(Unauthenticated(), error.reason) from None

    def known(self, token: str, org: str | None) -> Actor | None:
        """The actor of a token that was verified before and still holds; None: ask `actor`."""
        actor, expires = self._actors.get((token, org), _UNKNOWN)
        return actor if expires > time.time() else None

    def _verified(self, token: str, org: str | None) -> Actor:
        now = time.time()
        actor, expires = self._actors.get((token, org), (ANONYMOUS, 0.0))
        if expires > now:
            return actor
        claims = self._verifier.verify(token, now)
        if claims.sid is not None and self._revoked.get(claims.sid, 0.0) > now:
            raise Refused(Unauthenticated(), "the session has ended")
        actor = actor_of(claims, token, org)
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            self._actors = {key: kept for key, kept in self._actors.items() if kept[1] > now}
        if len(self._actors) >= _ACTORS:
            self._actors.clear()
        self._actors[token, org] = (actor, claims.exp)
        return actor

    async def refresh(self) -> None:
        """Fetch the public keys unless that was done a moment ago. Refused(Unavailable) while identity is silent.

        All who wait for it go on in one turn of the loop: who comes behind the first of them passes none of the others.
        """
        fetching = self._fetching
        if fetching is None:
            if time.monotonic() - self._fetched_at < _REFETCH_S:
                if not self.ready:
                    raise Refused(Unavailable(dependency="identity"))
                return
            self._fetched_at = time.monotonic()
            self._fetching = fetching = asyncio.get_running_loop().create_task(self._fetch())
            # Nobody may wait any more when it fails, and asyncio would report that.
            fetching.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait((fetching,))
        fetching.result()

    async def _fetch(self) -> None:
        try:
            jwks = await self._caller.call(GetJwks(), timeout_s=_FETCH_TIMEOUT_S)
            self._verifier.replace_keys(jwks)
            self._actors.clear()  # a key may be gone; the verifier still knows the tokens of the others
        finally:
            self._fetching = None

    async def load(self) -> None:
        """Fetch keys and revocations: at the start and after every reconnect, when an event may have been missed."""
        jwks = await self._caller.call(GetJwks(), timeout_s=_FETCH_TIMEOUT_S)
        self._verifier.replace_keys(jwks)
        token = await self.own_token()
        page = ListRevocations()
        while True:
            ended = await self._caller.call(page, token=token, timeout_s=_FETCH_TIMEOUT_S)
            for revocation in ended.revocations:
                self._revoked[revocation.session_id] = revocation.until.timestamp()
            if ended.next_after is None:
                break
            page = ListRevocations(after=ended.next_after)
        self._actors.clear()

    def on_session_ended(self, event: SessionEnded) -> None:
        """Refuse the tokens of a session from now on."""
        now, known = time.time(), event.session_id in self._revoked
        self._revoked = {sid: until for sid, until in self._revoked.items() if until > now}
        self._revoked[event.session_id] = event.until.timestamp()
        self._verifier.drop(event.session_id)
        self._actors = {k: v for k, v in self._actors.items() if v[0].session_id != event.session_id}
        if not known:
            log.info("session.ended", session_id=str(event.session_id))

    async def own_token(self) -> str:
        """An access token of this service itself."""
        token, renew_at = self._own
        if time.monotonic() < renew_at:
            return token
        answer = await self._caller.call(
            SignInClient(client_id=self._service, client_secret=self._credential), timeout_s=_FETCH_TIMEOUT_S
        )
        self._own = (answer.access_token, time.monotonic() + answer.expires_in_s * _RENEW_AT)
        return answer.access_token
