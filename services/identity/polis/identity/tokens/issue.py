"""What access tokens say: of users in a session, of agents and services by their credentials, of whom a service acts for."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from msgspec import Struct

from polis.proto.identity import (
    ROLE_SCOPES,
    AccessToken,
    Me,
    Membership,
    Principal,
    PrincipalKind,
    Session,
)
from polis.proto.registry import SERVICES
from polis.service.tokens import NO_ORG, Claims, sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from polis.identity.config import Config
    from polis.identity.people import sessions
    from polis.identity.people.accounts import Account
    from polis.identity.people.sessions import Opened
    from polis.identity.principals import agents
    from polis.identity.tokens.keys import Keyring

SYSTEM_ORG = UUID(int=1)
"""The org of the mesh itself, and of its services."""
_SERVICES = UUID("6f1d6b0c-6d3f-5b0e-8f63-4e1c1d0f8a57")
MAX_ORGS = 24
"""Orgs that a token names. It travels with every request; SwitchOrg reaches the others."""
MAX_OWN_SCOPES = 800
"""Characters that orgs' own roles may take in a token; the one of its own org is in it whatever it takes."""
_ORG_ID = 40
"""Characters of an org's id with its quotes and colon."""


class Bearer(Struct, frozen=True):
    """Whom a token is about, in which org.

    `roles`: by org; `scopes`: what roles of an org's own may do there; `limit`: all that it may do, whatever its role;
    `unproved`: orgs where its role does nothing, for want of a second factor.
    """

    id: UUID
    kind: PrincipalKind
    name: str
    org_id: UUID
    roles: dict[UUID, str]
    sid: UUID | None
    scopes: dict[UUID, frozenset[str]] = {}
    limit: frozenset[str] | None = None
    proved_at: datetime | None = None
    proved_by: tuple[str, ...] = ()
    unproved: frozenset[UUID] = frozenset()

    @property
    def rights(self) -> frozenset[str]:
        """What it may do in its org."""
        if self.org_id in self.unproved:
            return frozenset()
        rights = scopes_of(self.roles.get(self.org_id, ""), self.scopes.get(self.org_id))
        return rights if self.limit is None else rights & self.limit


class Issuer:
    """Signs access tokens with the key of the hour."""

    def __init__(self, config: Config, keys: Keyring) -> None:
        self._config = config
        self._keys = keys

    def access(
        self,
        bearer: Bearer,
        token_id: UUID,
        at: datetime,
        *,
        scope: str | None = None,
        acting: str = "",
        ttl_s: int | None = None,
    ) -> AccessToken:
        """A token for a bearer, narrowed to `scope` where that is given, in the hands of the service or key `acting`."""
        issued, ttl_s = int(at.timestamp()), ttl_s or self._config.access_ttl_s
        if scope is None and bearer.limit is not None:
            scope = " ".join(sorted(bearer.rights))
        claims = Claims(
            sub=bearer.id,
            kind=bearer.kind,
            name=bearer.name,
            org=bearer.org_id,
            orgs={str(org): role for org, role in bearer.roles.items()},
            iat=issued,
            exp=issued + ttl_s,
            jti=token_id.hex,
            sid=bearer.sid,
            auth_time=None if bearer.proved_at is None else int(bearer.proved_at.timestamp()),
            amr=bearer.proved_by,
            scope=scope,
            act={"sub": acting} if acting else None,
            scopes={str(org): " ".join(sorted(scopes)) for org, scopes in bearer.scopes.items()},
            unproved=tuple(sorted(map(str, bearer.unproved))),
        )
        return AccessToken(sign(claims, self._keys.signing(at)), ttl_s)

    def session(
        self,
        account: Account,
        memberships: Sequence[Membership],
        opened: Opened,
        token_id: UUID,
        at: datetime,
    ) -> Session:
        """What a user gets at sign-in and at every renewal."""
        bearer = user(account, memberships, opened.session)
        access = self.access(bearer, token_id, at)
        return Session(
            session_id=opened.session.sid,
            access_token=access.access_token,
            refresh_token=opened.refresh_token,
            expires_in_s=access.expires_in_s,
            me=me(bearer, memberships),
        )


def user(account: Account, memberships: Sequence[Membership], session: sessions.Session) -> Bearer:
    """A user in the org where its session is; beyond MAX_ORGS and MAX_OWN_SCOPES the newest memberships are named."""
    named: dict[UUID, Membership] = {}
    room, org_id = MAX_OWN_SCOPES, session.current_org
    newest = list(reversed(memberships))
    for membership in sorted(newest, key=lambda m: m.org.id != org_id):
        needed = _own_room(membership)
        if len(named) < MAX_ORGS and (not needed or needed <= room or membership.org.id == org_id):
            named[membership.org.id] = membership
            room -= needed
    return Bearer(
        account.id,
        "user",
        account.name,
        org_id,
        {m.org.id: m.role for m in memberships if m.org.id in named},
        session.sid,
        {m.org.id: frozenset(m.scopes) for m in named.values() if m.role not in ROLE_SCOPES},
        proved_at=session.proved_at,
        proved_by=session.proved_by,
        unproved=frozenset(m.org.id for m in named.values() if _lacks_factor(m, session)),
    )


def administrator(account: Account, org_id: UUID, session: sessions.Session) -> Bearer:
    """Who administers the mesh, in an org that need not be one of theirs."""
    return Bearer(
        account.id,
        "user",
        account.name,
        org_id,
        {org_id: "administrator"},
        session.sid,
        proved_at=session.proved_at,
        proved_by=session.proved_by,
    )


def manages(role: str, own: Iterable[str] | None = None) -> bool:
    """Whether a role may do more than a member's."""
    return bool(scopes_of(role, own) - ROLE_SCOPES["member"])


def _lacks_factor(membership: Membership, session: sessions.Session) -> bool:
    wanted = membership.second_factor and manages(membership.role, membership.scopes)
    return wanted and "otp" not in session.proved_by


def _own_room(membership: Membership) -> int:
    """Characters that a role of the org's own takes in a token beyond what one of every org does."""
    if membership.role in ROLE_SCOPES:
        return 0
    return len(membership.role) + _ORG_ID + sum(len(scope) + 1 for scope in membership.scopes)


def me(bearer: Bearer, memberships: Iterable[Membership] = ()) -> Me:
    return Me(
        principal=Principal(bearer.id, bearer.kind, bearer.name),
        org_id=bearer.org_id,
        role=bearer.roles.get(bearer.org_id, ""),
        scopes=tuple(sorted(bearer.rights)),
        memberships=tuple(memberships),
    )


def scopes_of(role: str, own: Iterable[str] | None = None) -> frozenset[str]:
    """What a role may do; `own`: what the org says of it when it is one of the org's own."""
    return ROLE_SCOPES.get(role) or frozenset(own or ())


def agent(found: agents.Principal) -> Bearer:
    return Bearer(
        found.id,
        "application" if found.kind == "application" else "agent",
        found.name,
        found.org_id,
        {found.org_id: "agent"},
        found.sid,
        limit=frozenset(found.scopes),
    )


def service(name: str) -> Bearer:
    """A service as itself. It has no role, so no scope: what it may call is what names it as a caller."""
    return Bearer(uuid5(_SERVICES, name), "service", name, SYSTEM_ORG, {SYSTEM_ORG: "service"}, None)


def credential_of(name: str, mesh_secret: str) -> str:
    """What the mesh secret gives a service to sign in with: HMAC-SHA256(secret, name) in hex."""
    return hmac.digest(mesh_secret.encode(), name.encode(), "sha256").hex()


def is_service(name: str, credential: str, mesh_secret: str) -> bool:
    """Whether this is a service of the mesh and that its credential."""
    fits = hmac.compare_digest(credential_of(name, mesh_secret).encode(), credential.encode())
    return fits and any(name == entry.name for entry in SERVICES)


def home(memberships: Sequence[Membership], *wanted: UUID) -> UUID:
    """The org in which a session goes on: the first wanted one that the user is in, else the oldest, else none."""
    mine = [m.org.id for m in memberships]
    return next((org for org in (*wanted, *mine) if org in mine), NO_ORG)
