"""Who may do what: every operation of the contract, topic and command of the live edge x every kind of principal, each cell asserted.

What is expected is computed from the declared scope; a row only says how the operation is called on something that exists
in the owner's org. An operation without a row fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from polis.proto import INTERNAL, PUBLIC, SIGNED_IN, Refused
from polis.proto.contract import events, operation_of, operations
from polis.proto.identity import ROLE_SCOPES, Delegate, ListRevocations
from polis.proto.live import ANNOUNCED_SCOPE, TOPICS
from polis.proto.problems import Forbidden, Unauthenticated
from polis.proto.registry import load
from tests.e2e.rows import (
    access,
    asks,
    catalog,
    gateway,
    handoffs,
    history,
    jobs,
    live,
    messaging,
    people,
    steering,
    triggers,
    vault,
)
from tests.e2e.rows.making import fixed, on_artifact, on_resource, on_run, with_account
from tests.e2e.world import GRAPH, NARROW, World, new_id, new_key

if TYPE_CHECKING:
    from polis.proto.live import TopicKind

load()
OPERATIONS = {operation.name: operation for operation in operations()}
PRINCIPALS = (
    "anonymous", "other_org", "viewer", "member", "admin", "owner", "agent", "service", "revoked_session",
    "api_key", "own_role", "suspended_agent",
)  # fmt: skip
ROLE_OF = {"other_org": "owner", "service": "service"}
SCOPES_OF = ROLE_SCOPES | {"api_key": NARROW, "own_role": NARROW}
NOBODY = ("anonymous", "revoked_session", "suspended_agent")
NOT_IN_PERSON = ("agent", "service", "api_key")

PARTS = (
    access,
    asks,
    catalog,
    gateway,
    handoffs,
    history,
    jobs,
    messaging,
    people,
    steering,
    triggers,
    vault,
)
USERS_ONLY = {"create_org", "switch_org", "accept_invitation"}.union(*(part.USERS_ONLY for part in PARTS))
"""Only people are members of orgs: agents and services are refused although they are signed in."""


async def accept_invitation(world: World):
    return "/invitations/accept", {"token": (await world.invitation())["token"]}


async def change_role(world: World):
    return f"/members/{await world.new_member()}", {"role": "viewer"}


async def remove_member(world: World):
    return f"/members/{await world.new_member()}", None


async def on_agent(world: World):
    return f"/agents/{(await world.agent())['agent']['id']}", None


async def resolve(world: World):
    return f"/active/graph/{(await world.resource(active=True))['key']}", None


async def put_part(world: World):
    return f"/uploads/{(await world.upload())['id']}/parts/0", b"abc"


async def complete_upload(world: World):
    return f"/uploads/{(await world.upload(filled=True))['id']}/complete", {}


async def cancel_upload(world: World):
    return f"/uploads/{(await world.upload())['id']}", None


async def start_run(world: World):
    return "/runs", {"graph": (await world.resource(active=True))["key"]}


async def switch_org(world: World):
    return "/sessions/org", {"org_id": world.org_id}


ROWS = {
    "sign_up": fixed(
        "/sign-up", lambda: {"email": f"{new_key()}@example.org", "password": "long enough", "name": "A"}
    ),
    "sign_in": with_account("/sign-in", "email", "password"),
    "refresh": with_account("/sessions/refresh", "refresh_token"),
    "sign_out": None,
    "sign_in_client": fixed("/token", {"client_id": "nobody", "client_secret": "wrong"}),
    "claim_administrator": fixed(
        "/administrators",
        {"token": "wrong", "email": "a@example.org", "password": "long enough", "name": "A"},
    ),
    "get_me": fixed("/me"),
    "get_jwks": fixed("/jwks"),
    "create_org": fixed("/orgs", {"name": "Another"}),
    "switch_org": switch_org,
    "list_members": fixed("/members"),
    "change_role": change_role,
    "remove_member": remove_member,
    "invite_member": fixed("/invitations", lambda: {"email": f"{new_key()}@example.org"}),
    "accept_invitation": accept_invitation,
    "create_agent": fixed("/agents", lambda: {"key": new_key(), "name": "A"}),
    "list_agents": fixed("/agents"),
    "get_agent": on_agent,
    "delete_agent": on_agent,
    "create_resource": fixed("/resources", lambda: {"type": "graph", "key": new_key(), "content": GRAPH}),
    "list_resources": fixed("/resources"),
    "get_resource": on_resource("/resources/{}"),
    "get_draft": on_resource("/resources/{}/draft"),
    "put_draft": on_resource("/resources/{}/draft", {"revision": 1, "content": GRAPH}),
    "publish_version": on_resource("/resources/{}/versions", {}, published=False),
    "list_versions": on_resource("/resources/{}/versions"),
    "get_version": on_resource("/resources/{}/versions/1"),
    "activate": on_resource("/resources/{}/activations/production", {"number": 1}),
    "resolve_resource": resolve,
    "create_upload": fixed("/uploads", {"name": "file", "size": 3}),
    "put_part": put_part,
    "complete_upload": complete_upload,
    "cancel_upload": cancel_upload,
    "list_artifacts": fixed("/artifacts"),
    "get_artifact": on_artifact("/artifacts/{}"),
    "download_artifact": on_artifact("/artifacts/{}/content"),
    "delete_artifact": on_artifact("/artifacts/{}"),
    "start_run": start_run,
    "list_runs": fixed("/runs"),
    "get_run": on_run("/runs/{}"),
    "cancel_run": on_run("/runs/{}/cancel", {}),
    "get_timeline": on_run("/runs/{}/timeline"),
    "get_output": on_run("/runs/{}/output"),
    "watch_run": on_run("/runs/{}/snapshot"),
    "open_browser_session": with_account("/session", "email", "password"),
    "get_browser_session": fixed("/session"),
    "refresh_browser_session": fixed("/session/refresh", {}),
    "close_browser_session": None,
    "upload_artifact": fixed("/artifacts?name=file", b"abc"),
    "delegate": lambda world: Delegate(org_id=new_uuid(), principal_id=new_uuid(), scopes=("catalog:read",)),
    "list_revocations": lambda world: ListRevocations(),
} | {name: row for part in PARTS for name, row in part.ROWS.items()}
ENDING = {"sign_out": ("POST", "/sign-out"), "close_browser_session": ("DELETE", "/session")}
"""These end the session they are called in, so each cell needs one of its own."""
STATUSES = {
    "public": {200},
    "unauthenticated": {401},
    "forbidden": {403},
    "hidden": {404},
    "allowed": {200, 204},
}
ALSO_ALLOWED = {
    ("sign_in_client", "public"): {401},  # the row offers wrong credentials
    ("refresh_browser_session", "public"): {401},
    ("claim_administrator", "public"): {404},
    ("switch_org", "allowed"): {404},  # other_org is in no org of the owner
    ("accept_invitation", "allowed"): {404, 409},  # the invitation is for another address
    ("get_output", "allowed"): {409},  # the run may not have ended yet
    ("cancel_run", "allowed"): {409},  # the run may have ended already
} | {cell: statuses for part in PARTS for cell, statuses in part.ALSO_ALLOWED.items()}
OWN_ONLY = {"put_part", "get_upload", "complete_upload", "cancel_upload"}
"""An open upload belongs to whoever began it, here the owner."""


def new_uuid():
    from uuid import UUID

    return UUID(new_id())


def expected(name: str, principal: str) -> str:
    """public | allowed | unauthenticated | forbidden | hidden"""
    scope = OPERATIONS[name].scope
    if scope == PUBLIC:
        return "public"
    if principal in NOBODY:
        return "unauthenticated"
    if scope == SIGNED_IN:
        return "forbidden" if name in USERS_ONLY and principal in NOT_IN_PERSON else "allowed"
    role = ROLE_OF.get(principal, principal)
    if principal == "api_key" and name in access.NOT_BY_KEY:
        return "forbidden"
    if scope not in SCOPES_OF.get(role, frozenset()) or (principal == "agent" and name in jobs.BY_GRANT):
        return "forbidden"
    if principal == "other_org" or (name in OWN_ONLY and principal not in ("owner", "api_key")):
        return "hidden"
    return "allowed"


@pytest.fixture(scope="module")
async def world(mesh, address):
    async with aiohttp.ClientSession() as http:
        world = World(address, http)
        await world.populate(mesh.credential("runtime"))
        yield world


def test_every_operation_has_a_row():
    assert set(ROWS) == set(OPERATIONS)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row and OPERATIONS[name].path])
async def test_each_principal_may_do_what_its_grants_say_and_nothing_else(world, made, name):
    """Those who may not come first: what they were refused is there unchanged for the next one."""
    operation, wrong = OPERATIONS[name], {}
    for principal in sorted(PRINCIPALS, key=lambda each: changes(name, each)):
        path, given = await made(name, keep=not changes(name, principal))
        raw, body = (given, None) if isinstance(given, bytes) else (None, given)

        status, text = await world.request(principal, operation.verb, path, body, raw)

        if not fits(world, name, expected(name, principal), status, text):
            wrong[principal] = expected(name, principal), status, text
    assert wrong == {}


def changes(name: str, principal: str) -> bool:
    """Whether what it was called on may be another thing afterwards."""
    outcome = expected(name, principal)
    if OPERATIONS[name].verb == "GET" or outcome in ("unauthenticated", "forbidden"):
        return False
    return outcome != "hidden" or "{" not in OPERATIONS[name].path


def fits(world: World, name: str, outcome: str, status: int, text: str) -> bool:
    also = ALSO_ALLOWED.get((name, outcome), set())
    if outcome == "hidden" and "{" not in OPERATIONS[name].path:
        return status in {200, 404} | also and world.org_id not in text
    told = {401: Unauthenticated.type, 403: Forbidden.type}.get(status, "")
    return status in STATUSES[outcome] | also and (told in text or outcome == "public")


@pytest.mark.parametrize("principal", PRINCIPALS)
@pytest.mark.parametrize("name", list(ENDING))
async def test_a_session_is_ended_by_whoever_has_one(world, name, principal):
    method, path = ENDING[name]
    if principal in NOBODY:
        status, _ = await world.request(principal, method, path)
        assert status == 401
        return
    if principal in NOT_IN_PERSON:
        status, text = await world.request(principal, method, path)
        assert status in (204, 403), text
        return
    account = await world.account()
    _, text = await world.request(
        "anonymous", "POST", "/sign-in", {k: account[k] for k in ("email", "password")}
    )
    world.tokens["passing"] = text.partition('"access_token":"')[2].partition('"')[0]
    status, text = await world.request("passing", method, path)
    assert status == 204, text


@pytest.mark.parametrize("name", [name for name, o in OPERATIONS.items() if o.scope == INTERNAL])
async def test_internal_operations_answer_services_only(world, admin, name):
    wrong = {}
    for principal in PRINCIPALS:
        try:
            await admin.call(ROWS[name](world), token=world.tokens[principal])
            outcome = "allowed"
        except Refused as refusal:
            outcome = refusal.problem

        if principal in (*NOBODY, "api_key"):  # a key is no token: the gateway trades it for one
            right = isinstance(outcome, Unauthenticated)
        elif principal == "service":
            right = not isinstance(outcome, (Unauthenticated, Forbidden))
        else:
            right = isinstance(outcome, Forbidden)
        if not right:
            wrong[principal] = outcome
    assert wrong == {}


@pytest.fixture(scope="module")
async def admin(mesh):
    return await mesh.caller("admin")


def test_every_kind_of_topic_has_a_row():
    assert [topic.name for topic in TOPICS] == list(live.TOPIC_ROWS)


def expected_of(topic: TopicKind, principal: str) -> str:
    """As of the operation that reads it; of the org, as of anything that is shown."""
    if topic.read is not None:
        return expected(operation_of(topic.read).name, principal)
    if principal in NOBODY:
        return "unauthenticated"
    held = SCOPES_OF.get(ROLE_OF.get(principal, principal), frozenset())
    shown = {event.shown for event in events() if event.shown} | {ANNOUNCED_SCOPE}
    return "allowed" if shown & held else "forbidden"


@pytest.fixture(scope="module")
async def topics(world):
    """One of each kind, by its name, and a conversation of the owner's alone."""
    return {name: await row(world) for name, row in live.TOPIC_ROWS.items()} | {
        "alone": await live.alone(world)
    }


def follows(world: World, topic: TopicKind, principal: str, status: int, text: str) -> None:
    """Fails unless this is what somebody is to be told of a topic, on a socket or as server-sent events."""
    outcome = expected_of(topic, principal)
    own = "/" not in topic.name
    assert status in STATUSES["allowed" if own and outcome == "hidden" else outcome], (topic.name, text)
    assert principal != "other_org" or world.org_id not in text


@pytest.mark.parametrize("principal", PRINCIPALS)
async def test_a_principal_follows_what_its_grants_say_and_nothing_else(world, topics, principal):
    try:
        async with live.socket(world, principal) as ws:
            told = await live.follow(ws, topics.values())
    except aiohttp.WSServerHandshakeError as refusal:
        told = dict.fromkeys(topics.values(), (refusal.status, ""))

    assert principal == "owner" or told[topics["alone"]][0] in (401, 403, 404)
    for topic in TOPICS:
        follows(world, topic, principal, *told[topics[topic.name]])
        follows(world, topic, principal, *await live.listen(world, principal, topics[topic.name]))


@pytest.mark.parametrize("principal", [each for each in PRINCIPALS if each not in NOBODY])
async def test_a_principal_calls_on_a_socket_what_it_may_on_http_and_nothing_else(world, made, principal):
    async with live.socket(world, principal) as ws:
        for name, operation in live.COMMANDS.items():
            outcome = expected(name, principal)
            given = await made(name, keep=outcome != "allowed")

            status, text = await live.call(ws, operation, given)

            hidden = {200} if outcome == "hidden" and "{" not in operation.path else set()
            also = ALSO_ALLOWED.get((name, outcome), set())
            assert status in STATUSES[outcome] | hidden | also, (name, text)
            assert outcome != "hidden" or world.org_id not in text


@pytest.fixture(scope="module")
async def made(world):
    """What a row makes: anew, unless whoever calls it may not and it is `keep`t for the next one."""
    kept = {}

    async def made(name: str, *, keep: bool):
        if name not in kept:
            kept[name] = await ROWS[name](world)
        return kept[name] if keep else kept.pop(name)

    return made


async def test_sockets_end_with_the_grants_that_they_were_opened_by(world):
    """Whoever was let in by an agent's token, a key or a membership is let out with it, within 5 s."""
    agent = await world.agent("leaving")
    world.tokens["leaving_agent"] = await world._client(agent["client_id"], agent["client_secret"])
    key = await world.owner("POST", "/keys", {"name": "Leaving", "scopes": ["identity:read"]})
    world.tokens["leaving_key"] = key["secret"]
    member = await world.new_member("member", keep_as="leaving_member")

    async with (
        live.socket(world, "leaving_agent") as of_agent,
        live.socket(world, "leaving_key") as of_key,
        live.socket(world, "leaving_member") as of_member,
    ):
        await world.owner("POST", "/agents/leaving/suspend", {})
        await world.owner("DELETE", f"/keys/{key['key']['id']}")
        await world.owner("DELETE", f"/members/{member}")

        for ws in (of_agent, of_key, of_member):
            assert await ws.receive(timeout=30)
            assert ws.close_code == 4401
