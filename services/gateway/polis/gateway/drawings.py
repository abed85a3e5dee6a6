"""Runs drawn, as images and texts of their own: what the runtime answers in JSON, with its media type and nothing around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.gateway.incoming import read
from polis.proto.gateway import DrawRun
from polis.proto.runtime import GetRunPicture

if TYPE_CHECKING:
    from polis.gateway.http import Exchange
    from polis.proto import Operation
    from polis.service import Actor, Caller

# An image has no scripts of ours; opened by itself, it may have none of anybody's.
_ALONE = (b"content-security-policy", b"default-src 'none'; sandbox")


class Drawings:
    """Answers DrawRun."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def show(
        self, exchange: Exchange, operation: Operation, path: dict[str, str], actor: Actor
    ) -> None:
        asked = await read(exchange, operation, path)
        assert isinstance(asked, DrawRun)  # noqa: S101 - read() decodes what the operation declares
        picture = await self._caller.call(
            GetRunPicture(run_id=asked.run_id, format=asked.format),
            token=actor.token,
            org=str(actor.org_id),
        )
        exchange.extra.append(_ALONE)
        await exchange.answer(200, picture.content.encode(), f"{picture.media_type}; charset=utf-8".encode())
