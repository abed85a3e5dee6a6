"""Conversations and what is said in them: on a channel of the owner's that is open to the org."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from polis.proto.messaging import (
    CheckFile,
    CheckWatches,
    GetAddressed,
    GetNotificationHook,
    ReportNotificationHook,
)
from polis.testing import eventually
from tests.e2e.rows.making import fixed
from tests.e2e.world import new_key

if TYPE_CHECKING:
    from polis.cli.api import Api
    from tests.e2e.world import World

_kept: dict[int, tuple[str, int]] = {}


async def live(api: Api, known: Any) -> None:
    """Leave a row in every table. known: whether a table has rows of the org by now."""
    made = await api.call("POST", "/conversations", {"kind": "group", "name": "Kept"})
    path = f"/conversations/{made['id']}"
    headers = api._headers | {"Idempotency-Key": new_key()}
    async with api._http.post(
        f"{api.address}/api/v1{path}/messages", json={"text": "Hello"}, headers=headers
    ) as answer:
        assert answer.status == 200, await answer.text()
        posted = await answer.json()
    async with api._http.post(
        f"{api.address}/api/v1/artifacts?name=a&media_type=text/plain", data=b"abc", headers=api._headers
    ) as answer:
        part = {"kind": "file", "artifact_id": (await answer.json())["id"]}
    await api.call("PATCH", f"{path}/messages/{posted['seq']}", {"text": "Hello again", "parts": [part]})
    await api.call("PUT", f"{path}/draft", {"text": "And"})
    await api.call("PUT", "/notification-preferences", {"mail": True})
    streamed = await api.call("POST", f"{path}/streams", {"client_id": "1"})
    await api.call("POST", f"/streams/{streamed['stream_id']}/text", {"at": 0, "text": "Hello"})
    for table in ("passages", "indexed"):
        await eventually(lambda table=table: known("messaging", table))


async def channel(world: World) -> str:
    """The id of a new channel in which the admin and the member take part."""
    made = await world.owner("POST", "/conversations", {"kind": "channel", "name": new_key()})
    for role in ("admin", "member"):
        body = {"principal_id": world.me[role], "role": role}
        await world.owner("POST", f"/conversations/{made['id']}/participants", body)
    return made["id"]


async def kept(world: World) -> tuple[str, int]:
    """A channel that stays, and a message in it."""
    if id(world) not in _kept:
        made = await channel(world)
        posted = await world.owner("POST", f"/conversations/{made}/messages", {"text": "Hello"})
        _kept[id(world)] = made, posted["seq"]
    return _kept[id(world)]


def on(path: str, body: object = None):
    async def row(world: World):
        return path.format(*(await kept(world))), body

    return row


def on_member(path: str, body: object = None):
    """On somebody in a channel of its own."""

    async def row(world: World):
        return f"/conversations/{await channel(world)}/participants/{world.me['member']}{path}", body

    return row


async def add_participant(world: World):
    return f"/conversations/{(await kept(world))[0]}/participants", {"principal_id": world.me["viewer"]}


async def open_direct(world: World):
    return "/conversations/direct", {"principal_id": world.me["viewer"]}


async def delete_message(world: World):
    made, _ = await kept(world)
    posted = await world.owner("POST", f"/conversations/{made}/messages", {"text": "Hello"})
    return f"/conversations/{made}/messages/{posted['seq']}", None


async def stream(world: World) -> tuple[str, str]:
    """A channel that stays, and a stream of the owner's in it, open or ended by now."""
    made, _ = await kept(world)
    begun = await world.owner("POST", f"/conversations/{made}/streams", {"client_id": "1"})
    return made, begun["stream_id"]


def on_stream(path: str, body: object = None):
    async def row(world: World):
        return f"/streams/{(await stream(world))[1]}{path}", body

    return row


async def control_conversation(world: World):
    made, stream_id = await stream(world)
    return f"/conversations/{made}/control", {"control": {"kind": "pause"}, "stream_id": stream_id}


async def leave(world: World):
    return f"/conversations/{await channel(world)}/leave", None


_C, _M = "/conversations/{0}", "/conversations/{0}/messages/{1}"
ROWS: dict[str, Any] = {
    "create_conversation": fixed("/conversations", {"kind": "group", "name": "A"}),
    "open_direct": open_direct,
    "list_conversations": fixed("/conversations"),
    "list_channels": fixed("/channels"),
    "get_conversation": on(_C),
    "change_conversation": on(_C, {"topic": "This and that"}),
    "list_participants": on(_C + "/participants"),
    "add_participant": add_participant,
    "change_participant": on_member("", {"role": "observer"}),
    "remove_participant": on_member(""),
    "ban_participant": on_member("/ban"),
    "join_conversation": on(_C + "/join"),
    "leave_conversation": leave,
    "post_message": on(_C + "/messages", {"text": "Hello"}),
    "list_messages": on(_C + "/messages"),
    "get_message": on(_M),
    "list_message_revisions": on(_M + "/revisions"),
    "edit_message": on(_M, {"text": "Hello"}),
    "delete_message": delete_message,
    "react_to_message": on(_M + "/reactions", {"emoji": "ok"}),
    "pin_message": on(_M + "/pin", {}),
    "mark_conversation": on(_C + "/marks", {"read_seq": 1}),
    "list_marks": on(_C + "/marks"),
    "keep_message_draft": on(_C + "/draft", {"text": "And"}),
    "get_message_draft": on(_C + "/draft"),
    "drop_message_draft": on(_C + "/draft"),
    "search_messages": fixed("/messages/search?text=hello"),
    "watch_conversation": on(_C + "/snapshot"),
    "announce": fixed("/announcements", {"text": "Hello"}),
    "pull_missed": fixed("/sync", {}),
    "say_typing": on(_C + "/typing", {}),
    "say_presence": fixed("/presence", {"state": "online"}),
    "watch_presence": fixed("/presence"),
    "watch_participations": fixed("/participations"),
    "list_presence": on(_C + "/presence"),
    "export_conversation": on(_C + "/export"),
    "begin_stream": on(_C + "/streams", {"client_id": "1"}),
    "continue_stream": on_stream("/text", {"at": 0, "text": "Hello"}),
    "end_stream": on_stream("/end", {"parts": [{"kind": "card", "content": {"title": "A"}}]}),
    "abandon_stream": on_stream("/abandon", {}),
    "get_stream": on_stream(""),
    "control_conversation": control_conversation,
    "check_watches": lambda _: CheckWatches(watched=()),
    "get_notification_preferences": fixed("/notification-preferences"),
    "set_notification_preferences": fixed("/notification-preferences", {}),
    "get_notification_hook": lambda _: GetNotificationHook(uuid4(), uuid4()),
    "report_notification_hook": lambda _: ReportNotificationHook(
        uuid4(), uuid4(), "https://example.com", "gone"
    ),
    "check_file": lambda _: CheckFile(uuid4(), uuid4(), uuid4(), uuid4()),
    "get_addressed": lambda _: GetAddressed(uuid4(), uuid4(), 1),
}
# Who may see a channel has yet to take part in it, and to manage it, or to have said what is to be edited.
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    (name, "allowed"): {403}
    for name in (
        *(
            "change_conversation",
            "add_participant",
            "change_participant",
            "remove_participant",
            "ban_participant",
        ),
        *("post_message", "edit_message", "delete_message", "react_to_message", "pin_message"),
        *("mark_conversation", "keep_message_draft", "say_typing", "export_conversation"),
    )
} | {
    ("get_message_draft", "allowed"): {404},
    # Who may say something may say on only in what it has begun; one that is paused does not end.
    ("begin_stream", "allowed"): {403},
    ("continue_stream", "allowed"): {404},
    ("end_stream", "allowed"): {404, 409},
    ("abandon_stream", "allowed"): {404},
    ("control_conversation", "allowed"): {403},
}
USERS_ONLY: set[str] = set()
