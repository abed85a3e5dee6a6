"""OAuth2 as clients know it: tokens for credentials, introspection, revocation."""

from __future__ import annotations

import msgspec
import pytest

from polis.proto.identity import (
    CreateAgent,
    CreateKey,
    Delegate,
    DeleteAgent,
    GetMe,
    Introspection,
    IntrospectToken,
    InvalidClient,
    InvalidScope,
    ListAudit,
    Refresh,
    RefreshRefused,
    RevokeToken,
    SignInKey,
    SignOut,
    SuspendAgent,
    TradeCredentials,
    UnsupportedTokenType,
    WrongCredentials,
)

NOTHING = Introspection(active=False)


@pytest.fixture
async def agent(ada):
    return await ada.call(CreateAgent("sarah", "Sarah"))


@pytest.fixture
def trade(anybody):
    async def trade(agent, scope=None):
        return await anybody.call(
            TradeCredentials("client_credentials", agent.client_id, agent.client_secret, scope)
        )

    return trade


@pytest.fixture
def worth():
    async def worth(asker, token):
        return await asker.call(IntrospectToken(token))

    return worth


class TestClientCredentials:
    async def test_an_agent_gets_a_token_of_all_that_it_may_do(self, agent, trade, anybody):
        token = await trade(agent)

        me = await anybody.using(token.access_token).call(GetMe())
        assert (me.principal.id, " ".join(me.scopes)) == (agent.agent.id, token.scope)
        assert (token.token_type, token.expires_in) == ("Bearer", 900)

    async def test_it_may_ask_for_less_and_not_for_more(self, agent, trade, anybody, refused):
        token = await trade(agent, "catalog:read")

        assert (await anybody.using(token.access_token).call(GetMe())).scopes == ("catalog:read",)
        assert await refused(trade(agent, "catalog:read identity:members")) == InvalidScope()

    async def test_a_service_gets_a_token_by_its_credential(self, running, anybody, mesh_credential):
        token = await anybody.call(
            TradeCredentials("client_credentials", "runtime", mesh_credential("runtime"))
        )

        assert (token.scope, token.token_type) == ("", "Bearer")

    async def test_wrong_unknown_and_suspended_clients_are_refused_alike(self, ada, agent, trade, refused):
        wrong = msgspec.structs.replace(agent, client_secret="pas_wrong")
        unknown = msgspec.structs.replace(agent, client_id="nobody")
        for client in (wrong, unknown):
            assert await refused(trade(client)) == InvalidClient()
        await ada.call(SuspendAgent("sarah"))

        assert await refused(trade(agent)) == InvalidClient()
        told = [t.action for t in (await ada.call(ListAudit(actor_id=agent.agent.id))).items]
        assert told == ["client.refused", "client.refused"]


class TestIntrospection:
    async def test_a_live_token_is_told_about(self, ada, agent, trade, worth):
        token = await trade(agent, "catalog:read")

        told = await worth(ada, token.access_token)

        assert (told.active, told.scope, told.sub) == (True, "catalog:read", str(agent.agent.id))
        assert (told.iss, told.aud, told.token_type, told.kind) == ("polis", "polis", "Bearer", "agent")
        assert told.exp - told.iat == 900

    async def test_of_a_token_that_is_worth_nothing_nothing_else_is_told(self, ada, worth, anybody):
        header, payload, _ = ada.token.split(".")
        for token in (
            "",
            "x",
            "prt_x",
            f"{header}.{payload}.{'A' * 86}",
            f"{header}.{payload}.",
            ada.token + "A",
        ):
            assert await worth(ada, token) == NOTHING
        assert msgspec.json.encode(await worth(ada, "x")) == b'{"active":false}'

    async def test_ended_tokens_are_worth_nothing(self, ada, ben, agent, trade, worth):
        token = await trade(agent)
        assert (await worth(ada, token.access_token)).active
        await ada.call(DeleteAgent("sarah"))
        await ben.call(SignOut())

        assert await worth(ada, token.access_token) == NOTHING
        assert await worth(ada, ben.token) == NOTHING

    async def test_an_org_learns_nothing_of_anothers_tokens_but_services_do(
        self, ada, ben, worth, as_service
    ):
        assert await worth(ben, ada.token) == NOTHING
        assert await worth(ben, ada.refresh_token) == NOTHING
        runtime = await as_service("runtime")
        assert (await worth(runtime, ada.token)).sub == str(ada.id)
        assert (await worth(runtime, ada.refresh_token)).token_type == "refresh_token"

    async def test_a_refresh_token_is_told_to_end_when_it_does_and_not_with_its_session(
        self, ada, worth, rows
    ):
        [due] = await rows(
            "select expires_at from identity.refresh_tokens where hash = sha256($1::text::bytea)",
            ada.refresh_token,
        )

        assert (await worth(ada, ada.refresh_token)).exp == int(due["expires_at"].timestamp())

    async def test_a_used_refresh_token_is_worth_nothing(self, ada, anybody, worth):
        assert (await worth(ada, ada.refresh_token)).active
        renewed = await anybody.call(Refresh(ada.refresh_token))

        assert await worth(ada, ada.refresh_token) == NOTHING
        assert (await worth(ada, renewed.refresh_token)).active


class TestRevocation:
    async def test_a_revoked_refresh_token_ends_its_session(self, ada, anybody, refused, ended):
        await anybody.call(RevokeToken(ada.refresh_token))

        await ended(ada)
        assert await refused(anybody.call(Refresh(ada.refresh_token))) == RefreshRefused()

    async def test_a_revoked_access_token_ends_its_session_too(self, ada, anybody, refused, ended):
        await anybody.call(RevokeToken(ada.access_token, "access_token"))

        await ended(ada)
        assert await refused(anybody.call(Refresh(ada.refresh_token))) == RefreshRefused()

    async def test_a_revoked_agents_token_is_refused_and_its_credential_gives_new_ones(
        self, agent, trade, anybody, ended
    ):
        token = await trade(agent)
        await anybody.call(RevokeToken(token.access_token))

        await ended(token)
        again = await trade(agent)
        assert (await anybody.using(again.access_token).call(GetMe())).principal.id == agent.agent.id

    async def test_who_finds_an_api_key_can_end_it(self, ada, anybody, refused):
        key = await ada.call(CreateKey("found", ("catalog:read",)))
        await anybody.call(SignInKey(key.secret))

        await anybody.call(RevokeToken(key.secret))

        assert await refused(anybody.call(SignInKey(key.secret))) == WrongCredentials()

    async def test_what_is_no_token_is_revoked_already(self, anybody, ada):
        for token in ("", "x", "prt_x", "pk_x_y", ada.token[:-3], ada.token + "A"):
            await anybody.call(RevokeToken(token))

        assert (await ada.call(GetMe())).principal.id == ada.id

    async def test_a_services_token_for_somebody_cannot_end_that_ones_others(
        self, ada, as_service, anybody, refused
    ):
        runtime = await as_service("runtime")
        acting = await runtime.call(Delegate(ada.org_id, ada.id, ("catalog:read",)))

        assert await refused(anybody.call(RevokeToken(acting.access_token))) == UnsupportedTokenType()
        assert (await ada.call(GetMe())).principal.id == ada.id

    async def test_a_revocation_is_in_the_audit_log(self, ada, join, anybody):
        member = await join(ada, "member")
        await anybody.call(RevokeToken(member.refresh_token))

        told = (await ada.call(ListAudit(action="session.revoked"))).items[0]
        assert (told.actor_id, told.detail) == (member.id, {"by": "who held it"})


@pytest.fixture
def mesh_credential(mesh_secret):
    from polis.identity.tokens import issue

    return lambda name: issue.credential_of(name, mesh_secret)
