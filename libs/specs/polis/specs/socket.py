"""AsyncAPI of the one WebSocket that clients speak to: what they may say there, and what they are told."""

from __future__ import annotations

from typing import get_args

from polis.proto.live import CLOSED, JSON_PROTOCOL, MAX_FRAME, MSGPACK_PROTOCOL, Said, Told, callable_here
from polis.specs.schemas import Json, components, description, summary

_PATH = "/api/v1/live"


def add_socket(document: Json) -> None:
    """To the document of the whole mesh: a second server, its one channel, and who says what on it."""
    for channel in document["channels"].values():
        channel["servers"] = [{"$ref": "#/servers/mesh"}]
    document["servers"]["live"] = {"host": "127.0.0.1:8080", "pathname": _PATH, "protocol": "ws"}
    said, told = get_args(Said), get_args(Told)
    _, schemas = components([*said, *told], "#/components/schemas/{name}")
    document["components"]["schemas"] |= schemas
    for kind in (*said, *told):
        document["components"]["messages"][kind.__name__] = {
            "name": kind.__name__,
            "summary": summary(kind),
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        } | ({"description": description(kind)} if description(kind) else {})
    document["channels"]["live"] = {
        "address": _PATH,
        "summary": "All that a client follows and calls.",
        "description": _rules(),
        "servers": [{"$ref": "#/servers/live"}],
        "messages": {
            kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"} for kind in (*said, *told)
        },
    }
    document["operations"]["gateway.live_hears"] = _operation(
        "receive", said, "What a client says. `Call` is answered by `AckFrame` or `ProblemFrame` of its id."
    )
    document["operations"]["gateway.live_tells"] = _operation("send", told, "What a client is told.")


def _operation(action: str, kinds: tuple[type, ...], text: str) -> Json:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/live"},
        "summary": text,
        "tags": [{"name": "gateway"}],
        "messages": [{"$ref": f"#/channels/live/messages/{kind.__name__}"} for kind in kinds],
    }


def _rules() -> str:
    names = ", ".join(f"`{name}`" for name in sorted(callable_here()))
    codes = "; ".join(f"{code}: {why}" for code, why in CLOSED.items())
    return (
        f"One JSON object a frame ({JSON_PROTOCOL}), or the same in MessagePack ({MSGPACK_PROTOCOL}), of {MAX_FRAME} bytes"
        f" at the most. `Call` may name {names}. Closed with {codes}."
    )
