"""Actors for tests of one service: an identity that is played on the bus, and tokens as it would sign them."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID, uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polis.proto import Problem
from polis.proto.contract import operation_of
from polis.proto.identity import (
    ROLE_SCOPES,
    AccessToken,
    Agent,
    AgentNotFound,
    CheckAccess,
    Decision,
    Delegate,
    GetAgent,
    GetJwks,
    GetStanding,
    Jwk,
    Jwks,
    ListOrgQuotas,
    ListRevocations,
    Opened,
    OrgQuota,
    OrgQuotas,
    PrincipalNotFound,
    Revocations,
    SignInClient,
    Standing,
)
from polis.service import call
from polis.service.access import Question, Who, decide, holds
from polis.service.tokens import Claims, SigningKey, sign
from polis.service.wire import encode_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from polis.bus import Bus, Message
    from polis.proto import Request
    from polis.proto.identity import Grant
    from polis.service import Caller

A = TypeVar("A")
LIFETIME_S = 900
SERVICE_ORG = UUID(int=1)


class Person:
    """Somebody with a token, who calls through the bus."""

    def __init__(self, caller: Caller, token: str, *, principal_id: UUID, org_id: UUID) -> None:
        self.caller = caller
        self.token = token
        self.principal_id = principal_id
        self.org_id = org_id

    async def call(self, request: Request[A], *, key: str = "", org: str = "") -> A:
        return await self.caller.call(request, token=self.token, org=org, idempotency_key=key)


class Actors:
    """Plays identity on the bus for services under test, and makes people and agents."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._key = SigningKey("test", Ed25519PrivateKey.generate())
        self.agents: dict[tuple[UUID, str], Agent] = {}
        self.grants: list[Grant] = []
        self.people: dict[tuple[UUID, UUID], str] = {}
        """Roles by org and principal."""
        self.strict: set[UUID] = set()
        """Orgs whose people need a second factor."""
        self.gone: set[UUID] = set()
        """Principals that nobody can act for any more."""
        self.quotas: list[OrgQuota] = []

    async def play(self, bus: Bus) -> None:
        """Answer what services ask of identity."""
        answers: dict[type, Callable[[bytes], object]] = {
            GetJwks: lambda _: Jwks(keys=(_jwk(self._key),)),
            ListOrgQuotas: lambda _: OrgQuotas(tuple(self.quotas)),
            ListRevocations: lambda _: Revocations(revocations=()),
            SignInClient: self._sign_in,
            Delegate: self._delegate,
            GetAgent: self._get_agent,
            CheckAccess: self._check_access,
            GetStanding: self._standing,
        }
        for request, answer in answers.items():
            await bus.subscribe(operation_of(request).subject, _replier(bus, answer), queue="identity")

    def person(
        self,
        role: str = "member",
        *,
        org_id: UUID | None = None,
        kind: str = "user",
        sub: UUID | None = None,
        **claims: object,
    ) -> Person:
        """A new principal, or one that is there already, with this role in this org, or in an org of its own."""
        principal, org = sub or uuid4(), org_id or uuid4()
        if kind == "user":
            self.people[org, principal] = role
        token = self.token(sub=principal, kind=kind, org=org, orgs={str(org): role}, **claims)
        return Person(self._caller, token, principal_id=principal, org_id=org)

    def agent(self, org_id: UUID, key: str = "sarah", *, created_by: UUID | None = None) -> Agent:
        """An agent that GetAgent and Delegate know."""
        now = datetime.now(UTC)
        agent = Agent(
            id=uuid4(),
            org_id=org_id,
            key=key,
            name=key.title(),
            created_by=created_by or uuid4(),
            created_at=now,
        )
        self.agents[org_id, key] = self.agents[org_id, str(agent.id)] = agent
        return agent

    def token(self, **claims: object) -> str:
        now = int(time.time())
        given = {
            "kind": "user",
            "name": "Test",
            "iat": now,
            "exp": now + LIFETIME_S,
            "jti": uuid4().hex,
        } | claims
        return sign(Claims(**given), self._key)  # type: ignore[arg-type]

    def _sign_in(self, payload: bytes) -> AccessToken:
        name = msgspec.json.decode(payload, type=SignInClient).client_id
        orgs = {str(SERVICE_ORG): "service"}
        return AccessToken(
            self.token(sub=uuid4(), kind="service", name=name, org=SERVICE_ORG, orgs=orgs), LIFETIME_S
        )

    def _delegate(self, payload: bytes) -> AccessToken | Problem:
        asked = msgspec.json.decode(payload, type=Delegate)
        if asked.principal_id in self.gone:
            return PrincipalNotFound(principal_id=asked.principal_id)
        role = self.people.get((asked.org_id, asked.principal_id))
        token = self.token(
            sub=asked.principal_id,
            kind="user" if role else "agent",
            org=asked.org_id,
            orgs={str(asked.org_id): role or "agent"},
            scope=" ".join(asked.scopes),
            act={"sub": "runtime"},
        )
        return AccessToken(token, LIFETIME_S)

    def _get_agent(self, payload: bytes) -> object:
        wanted = msgspec.json.decode(payload, type=GetAgent).agent
        found = (a for (_, name), a in self.agents.items() if name == wanted)
        return next(found, AgentNotFound(agent=wanted))

    def _check_access(self, payload: bytes) -> Decision:
        asked = msgspec.json.decode(payload, type=CheckAccess)
        who = Who(asked.principal_id, "", frozenset(asked.scopes or ()))
        question = Question(asked.verb, asked.resource, asked.visibility, asked.owner_id, asked.data_class)
        granted = [grant for grant in self.grants if grant.org_id == asked.org_id]
        return decide(who, question, granted, datetime.now(UTC))

    def _standing(self, payload: bytes) -> Standing | Problem:
        asked = msgspec.json.decode(payload, type=GetStanding)
        agent = self.agents.get((asked.org_id, str(asked.principal_id)))
        role = "agent" if agent else self.people.get((asked.org_id, asked.principal_id))
        if role is None:
            return PrincipalNotFound(principal_id=asked.principal_id)
        who = Who(asked.principal_id, role, frozenset())
        return Standing(
            asked.principal_id,
            kind="agent" if agent else "user",
            role=role,
            scopes=tuple(sorted(ROLE_SCOPES.get(role, frozenset()))),
            makers=(agent.created_by,) if agent else (),
            second_factor=agent is None and asked.org_id in self.strict,
            opened=tuple(
                Opened(grant.resource, grant.conditions.expires_at)
                for grant in self.grants
                if grant.org_id == asked.org_id and grant.verb == asked.verb and holds(grant.holder, who)
            ),
        )


def _jwk(key: SigningKey) -> Jwk:
    raw = key.private.public_key().public_bytes_raw()
    return Jwk(kty="OKP", crv="Ed25519", kid=key.kid, x=base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


def _replier(bus: Bus, answer: Callable[[bytes], object]) -> Callable[[Message], None]:
    def reply(message: Message) -> None:
        answered = answer(message.payload)
        if isinstance(answered, Problem):
            headers = {call.ERROR_CODE: str(answered.status), call.ERROR: answered.title}
            bus.publish(message.reply, encode_problem(answered), headers=headers)
        else:
            bus.publish(message.reply, msgspec.json.encode(answered))

    return reply
