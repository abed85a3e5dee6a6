"""What becomes of a message: edited, deleted, answered with signs, pinned. Each is an entry of its conversation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from polis.messaging.messages.rows import more_of, size_of
from polis.proto import Refused, messaging
from polis.proto.messaging import (
    ConversationFull,
    Message,
    MessageChanged,
    MessagePinned,
    MessageReacted,
    MessageRemoved,
    Reaction,
)
from polis.proto.names import NAME
from polis.proto.problems import Fault, Invalid

if TYPE_CHECKING:
    from polis.messaging.conversations.turn import Turn

MAX_REVISIONS = 50
MAX_SIGNS = 20
MAX_REACTIONS = 200
MAX_PINS = 100
_SHOWN: Final = re.compile(NAME)


async def edit(turn: Turn, message: Message, said: Message) -> Message:
    """Let a message say what `said` says; what it said is kept beside it."""
    if message.revision > MAX_REVISIONS:
        raise Refused(ConversationFull(what="revisions", most=MAX_REVISIONS))
    changed = msgspec.structs.replace(
        message,
        text=said.text,
        parts=said.parts,
        mentions=said.mentions,
        revision=message.revision + 1,
        edited_at=turn.at,
    )
    row, tx = turn.row, turn.tx
    await tx.execute(
        """
        insert into messaging.revisions (org_id, conversation_id, seq, revision, text, parts, until)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        row.org_id,
        row.id,
        message.seq,
        message.revision,
        message.text,
        msgspec.json.encode(message.parts).decode() if message.parts else None,
        turn.at,
    )
    await _put(turn, changed)
    await _reword(turn, message.seq)
    seq = turn.add("edited", message=changed)
    await tx.emit(MessageChanged(row.org_id, row.id, seq, changed.seq, turn.actor_id, changed.revision))
    return changed


async def delete(turn: Turn, message: Message) -> Message:
    """Leave of a message that it was there."""
    gone = Message(
        message.conversation_id,
        message.seq,
        message.sender_id,
        message.sent_at,
        reply_to=message.reply_to,
        thread=message.thread,
        client_id=message.client_id,
        revision=message.revision + 1,
        deleted_at=turn.at,
        deleted_by=turn.actor_id,
    )
    row, tx = turn.row, turn.tx
    await _put(turn, gone)
    await _reword(turn, message.seq)
    await tx.execute(
        "delete from messaging.revisions where org_id = $1 and conversation_id = $2 and seq = $3",
        row.org_id,
        row.id,
        message.seq,
    )
    seq = turn.add("deleted", message=gone)
    await tx.emit(MessageRemoved(row.org_id, row.id, seq, message.seq, turn.actor_id))
    return gone


def demand_shown(emoji: str) -> None:
    """Refused(Invalid) for a sign that nobody sees, or that turns what stands beside it around; those of before are taken off."""
    if not _SHOWN.search(emoji):
        fault = Fault("/emoji", "Expected a sign that shows, and that does not turn the text around it")
        raise Refused(Invalid(faults=(fault,)))


async def react(turn: Turn, message: Message, emoji: str, *, on: bool) -> Message:
    """Put a sign of the actor on a message, or take it off; the message itself when that changes nothing."""
    reactions = _reacted(message.reactions, emoji, turn.actor_id, on=on)
    if reactions == message.reactions:
        return message
    changed = msgspec.structs.replace(message, reactions=reactions)
    row = turn.row
    await _put(turn, changed)
    seq = turn.add("reacted", message=changed)
    await turn.tx.emit(
        MessageReacted(row.org_id, row.id, seq, message.seq, turn.actor_id, emoji=emoji, on=on)
    )
    return changed


def _reacted(
    there: tuple[Reaction, ...], emoji: str, principal_id: UUID, *, on: bool
) -> tuple[Reaction, ...]:
    signs = {
        each.emoji: [i for i in each.principal_ids if (each.emoji, i) != (emoji, principal_id)]
        for each in there
    }
    if on:
        if any(each.emoji == emoji and principal_id in each.principal_ids for each in there):
            return there
        signs.setdefault(emoji, []).append(principal_id)
    if len(signs) > MAX_SIGNS:
        raise Refused(ConversationFull(what="signs on a message", most=MAX_SIGNS))
    if sum(map(len, signs.values())) > MAX_REACTIONS:
        raise Refused(ConversationFull(what="reactions", most=MAX_REACTIONS))
    return tuple(Reaction(sign, tuple(ids)) for sign, ids in signs.items() if ids)


async def pin(turn: Turn, message: Message, *, pinned: bool) -> Message:
    """Pin a message, or take the pin off; the message itself when that changes nothing."""
    if pinned is (message.pinned_at is not None):
        return message
    if pinned:
        await _demand_room(turn)
    changed = msgspec.structs.replace(
        message, pinned_at=turn.at if pinned else None, pinned_by=turn.actor_id if pinned else None
    )
    row = turn.row
    await _put(turn, changed)
    seq = turn.add("pinned", message=changed)
    await turn.tx.emit(MessagePinned(row.org_id, row.id, seq, message.seq, turn.actor_id, pinned=pinned))
    return changed


async def _demand_room(turn: Turn) -> None:
    there = await turn.tx.value(
        """
        select count(*) from messaging.messages m
        where m.org_id = $1 and m.conversation_id = $2 and m.pinned_at is not null
        """,
        turn.row.org_id,
        turn.row.id,
    )
    if there >= MAX_PINS:
        raise Refused(ConversationFull(what="pins", most=MAX_PINS))


async def _put(turn: Turn, message: Message) -> None:
    """Store a message as it is from now on."""
    more = more_of(message)
    reactions = msgspec.json.encode(message.reactions).decode() if message.reactions else None
    await turn.tx.execute(
        """
        update messaging.messages set text = $4, more = $5, size = $6, revision = $7, edited_at = $8, deleted_at = $9,
            deleted_by = $10, pinned_at = $11, pinned_by = $12, reactions = $13
        where org_id = $1 and conversation_id = $2 and seq = $3
        """,
        turn.row.org_id,
        turn.row.id,
        message.seq,
        message.text,
        more,
        size_of(message.text, more, reactions),
        message.revision,
        message.edited_at,
        message.deleted_at,
        message.deleted_by,
        message.pinned_at,
        message.pinned_by,
        reactions,
    )


async def _reword(turn: Turn, seq: int) -> None:
    """Let it be found by what it says now, and by nothing else; what is not indexed yet is indexed as it is by then."""
    await turn.tx.execute("select messaging.reword($1, $2, $3)", turn.row.org_id, turn.row.id, seq)


def demand_there(message: Message) -> None:
    """Refused(MessageDeleted) for one of which nothing is left."""
    if message.deleted_at is not None:
        raise Refused(messaging.MessageDeleted(seq=message.seq))
