"""Plain posts: what a person says who may, and that answers nothing. One statement judges, numbers and writes those of a moment.

Whatever is not plain is left to posting.py, which knows the rules: the statement only knows whom none of them stops.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from polis.db import Deadline, new_id
from polis.db.group import FLUSH_S
from polis.proto.contract import event_type_of
from polis.proto.messaging import MessagePosted, Posted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from polis.db import Caller, Database
    from polis.db.emit import Emitted
    from polis.messaging.messages.posting import Post
    from polis.messaging.telling import Telling
    from polis.proto.messaging import Message

_encoder = msgspec.json.Encoder()


class PlainPosts:
    """Writes posts at once, as long as they are plain."""

    def __init__(self, database: Database, telling: Telling) -> None:
        self._database = database
        self._telling = telling

    async def write(self, callers: Sequence[Caller], posts: Sequence[Post]) -> list[Posted | None]:
        """Where each stands by now, which was told; None for those that were left alone."""
        answers: list[Posted | None] = [None] * len(posts)
        chosen = _chosen(posts)
        if not chosen:
            return answers
        now = datetime.now(UTC)
        events = [_event(callers[n], posts[n]) for n in chosen]
        seqs = await self._store([callers[n] for n in chosen], [posts[n] for n in chosen], events, now)
        told: list[tuple[UUID, Message]] = []
        emitted: list[Emitted] = []
        for n, seq, (event_id, event, trace) in zip(chosen, seqs, events, strict=True):
            if seq is not None:
                message = msgspec.structs.replace(posts[n].message, seq=seq, sent_at=now)
                answers[n] = Posted(message.conversation_id, seq, now, message.mentions)
                told.append((callers[n].org_id, message))
                emitted.append((event_id, msgspec.structs.replace(event, seq=seq), trace))
        self._telling.posted(told)
        self._database.emitted(emitted)
        return answers

    async def _store(
        self, callers: Sequence[Caller], posts: Sequence[Post], events: Sequence[Emitted], now: datetime
    ) -> list[int | None]:
        orgs = [caller.org_id for caller in callers]
        messages = [post.message for post in posts]
        subject = event_type_of(MessagePosted).subject
        seqs: list[int | None] = await self._database.write_at_once(
            list({org_id.int: org_id for org_id in orgs}.values()),
            """
            select messaging.post_plainly($1::timestamptz, $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                $7::text[], $8::integer[], $9::uuid[], $10::text[], $11::text[], $12::text[]) as seqs
            """,
            now,
            orgs,
            [message.conversation_id for message in messages],
            [message.sender_id for message in messages],
            [message.client_id for message in messages],
            [message.text for message in messages],
            [post.more for post in posts],
            [post.size for post in posts],
            [event_id for event_id, _, _ in events],
            [subject(event) for _, event, _ in events],
            [_encoder.encode(event).decode() for _, event, _ in events],
            [None if trace is None else trace.header for _, _, trace in events],
            deadline=Deadline.after(FLUSH_S),
        )
        return seqs


def _chosen(posts: Sequence[Post]) -> list[int]:
    """Those that may be plain: nothing overtakes what its sender has said before it in that conversation."""
    chosen: list[int] = []
    behind: set[tuple[UUID, UUID]] = set()
    for n, post in enumerate(posts):
        if _may_be_plain(post) and (not behind or _said(post) not in behind):
            chosen.append(n)
        else:
            behind.add(_said(post))
    return chosen


def _said(post: Post) -> tuple[UUID, UUID]:
    return post.message.conversation_id, post.message.sender_id


def _may_be_plain(post: Post) -> bool:
    message = post.message
    return not (
        post.began or post.beyond or message.parts or message.reply_to or message.thread or message.stream
    )


def _event(caller: Caller, post: Post) -> Emitted:
    """What is to be told of a post, with no number yet."""
    message = post.message
    event = MessagePosted(
        caller.org_id, message.conversation_id, 0, message.sender_id, mentions=message.mentions
    )
    return new_id(), event, caller.trace
