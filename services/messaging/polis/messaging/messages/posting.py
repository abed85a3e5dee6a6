"""Posting: the messages of one moment, of many conversations, in one transaction. Plain ones need less (plain.py).

Numbers come from the conversations' rows, which are locked in one order; what was refused or is a repeat takes none. What
was committed is told live before anybody has an answer.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.db import Caller, GroupCommit
from polis.messaging.access import TAKING_PART, demand_voice
from polis.messaging.messages import files
from polis.messaging.messages.rows import more_of, size_of
from polis.messaging.turns import rows as turns
from polis.messaging.turns.rules import PERSON, Bounds, Talk
from polis.proto import Refused, messaging
from polis.proto.messaging import Message, MessagePosted, Posted
from polis.proto.problems import Forbidden

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from polis.db import Database, Transaction
    from polis.messaging.messages.plain import PlainPosts
    from polis.messaging.telling import Telling


class Post(Struct, frozen=True):
    """A message to be posted; its number and moment are not known yet.

    began: whether it was admitted when its stream began. sent_on: files of others that it opens to who may read it.
    beyond: why it may not be said even if the rules let it, unless it is there already.
    """

    org_id: UUID
    message: Message
    more: str | None
    size: int
    began: bool = False
    sent_on: frozenset[UUID] = frozenset()
    beyond: Refused | None = None


class _Look(Struct, frozen=True):
    head_seq: int | None
    kind: str | None
    visibility: str | None
    archived: bool
    role: str | None
    state: str | None
    muted_until: datetime | None
    repeated_seq: int | None
    repeated_at: datetime | None
    reply_found: bool
    thread_found: bool
    thread_root: int | None
    sender_kind: str | None
    talk_last_id: UUID | None
    talk_turns: int
    talk_characters: int
    turn_seq: int | None
    turn_holder_id: UUID | None
    turn_until: datetime | None
    answered_by: UUID | None

    @property
    def talk(self) -> Talk:
        return Talk(
            self.talk_last_id,
            self.talk_turns,
            self.talk_characters,
            self.turn_seq,
            self.turn_holder_id,
            self.turn_until,
        )


class _Numbered(Struct, frozen=True):
    caller: Caller
    message: Message
    post: Post


def post_of(
    org_id: UUID,
    message: Message,
    *,
    began: bool = False,
    sent_on: frozenset[UUID] = frozenset(),
    beyond: Refused | None = None,
) -> Post:
    more = more_of(message)
    return Post(org_id, message, more, size_of(message.text, more), began, sent_on, beyond)


def group(database: Database, posting: Posting, plain: PlainPosts) -> GroupCommit[Post, Posted]:
    """Two posts of one sender under one client id never share a group: the later sees what the earlier wrote."""
    return GroupCommit(database, posting.write, key=_key, at_once=plain.write)


def _key(post: Post) -> Hashable:
    message = post.message
    if message.client_id is None:
        return id(post)
    return message.conversation_id.int, message.sender_id.int, message.client_id


class Posting:
    """Writes posts in a transaction."""

    def __init__(self, telling: Telling, bounds: Bounds) -> None:
        self._telling = telling
        self._bounds = bounds

    async def write(
        self, tx: Transaction, callers: Sequence[Caller], posts: Sequence[Post]
    ) -> list[Posted | Refused]:
        now = datetime.now(UTC)
        looks = await _look(tx, callers, posts)
        heads: dict[tuple[UUID, UUID], int] = {}
        talks: dict[tuple[UUID, UUID], Talk] = {}
        over: dict[tuple[UUID, UUID], turns.Answer] = {}
        answers: list[Posted | Refused] = []
        numbered: list[_Numbered] = []
        for caller, post, look in zip(callers, posts, looks, strict=True):
            try:
                key = (caller.org_id, post.message.conversation_id)
                answer = _judged(post, look, now)
                if answer is None and (look.sender_kind != PERSON or look.talk_last_id or key in talks):
                    talks[key] = self._heard(post, look, talks.get(key), now)
            except Refused as refusal:
                answers.append(refusal)
                continue
            if answer is None:
                heads[key] = seq = heads.get(key, look.head_seq or 0) + 1
                made = _made(post, look, seq, now)
                numbered.append(_Numbered(caller, made, post))
                if (talk := talks.get(key)) is not None and talk.over:
                    over.setdefault(key, turns.Answer(*key, talk.turn_seq or 0, seq))
                answer = Posted(made.conversation_id, seq, now, made.mentions)
            answers.append(answer)
        if numbered:
            await _store(tx, numbered, heads, talks, now)
            await files.keep(tx, [(each.caller.org_id, each.message, each.post.sent_on) for each in numbered])
            if over:
                await turns.answered(tx, list(over.values()))
            await _emit(tx, numbered)
            said = [(each.caller.org_id, each.message) for each in numbered]
            tx.after_commit(lambda: self._telling.posted(said))
        return answers

    def _heard(self, post: Post, look: _Look, before: Talk | None, now: datetime) -> Talk:
        """The talk with this message. Refused(NotYourTurn | AgentTalkBound) for an agent that may not say it now."""
        talk, message = before or look.talk, post.message
        if look.sender_kind == PERSON:
            return talk.heard_a_person
        after = talk.with_words_of(message.sender_id, len(message.text))
        if post.began:
            return after
        # It may have been answered by what stands before it in this transaction.
        just_now = talk.over and message.reply_to == talk.turn_seq
        answered_by = talk.holder_id if just_now else look.answered_by
        if answered_by not in (None, message.sender_id):
            raise Refused(messaging.NotYourTurn(message_seq=message.reply_to or 0, holder_id=answered_by))
        talk.demand_turn(message.sender_id, now)
        after.demand_within(self._bounds)
        return after


def _judged(post: Post, look: _Look, now: datetime) -> Posted | None:
    """What stands there already, under the same client id; None for what is to be written. Refused when it may not be."""
    message = post.message
    hidden = look.state != "joined" and (look.visibility != "org" or look.state == "banned")
    if look.head_seq is None or (hidden and not post.began):
        raise Refused(messaging.ConversationNotFound(conversation_id=message.conversation_id))
    if look.repeated_seq is not None and look.repeated_at is not None:
        return Posted(
            message.conversation_id, look.repeated_seq, look.repeated_at, message.mentions, repeated=True
        )
    if post.began:
        return None
    if look.state != "joined":
        raise Refused(Forbidden(scope=TAKING_PART))
    demand_voice(look.role or "", look.muted_until, now)
    if look.archived:
        raise Refused(messaging.ConversationArchived(conversation_id=message.conversation_id))
    for seq, found in ((message.reply_to, look.reply_found), (message.thread, look.thread_found)):
        if seq is not None and not found:
            raise Refused(messaging.MessageNotFound(seq=seq))
    if post.beyond is not None:
        raise post.beyond
    return None


def _made(post: Post, look: _Look, seq: int, now: datetime) -> Message:
    """The message as it is from now on. A thread has one root: what is posted below a reply is posted below that."""
    given = post.message
    return Message(
        given.conversation_id,
        seq,
        given.sender_id,
        now,
        given.text,
        given.parts,
        given.reply_to,
        look.thread_root,
        given.mentions,
        given.attributes,
        given.client_id,
        stream=given.stream,
    )


async def _look(tx: Transaction, callers: Sequence[Caller], posts: Sequence[Post]) -> list[_Look]:
    messages = [post.message for post in posts]
    return await tx.rows(
        _Look,
        """
        select l.head_seq, l.kind, l.visibility, l.archived, l.role, l.state, l.muted_until, l.repeated_seq, l.repeated_at,
            l.reply_found, l.thread_found, l.thread_root, l.sender_kind, l.talk_last_id, l.talk_turns, l.talk_characters,
            l.turn_seq, l.turn_holder_id, l.turn_until, l.answered_by
        from messaging.lock_for_posts($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[]) l
        """,
        [caller.org_id for caller in callers],
        [message.conversation_id for message in messages],
        [message.sender_id for message in messages],
        [message.client_id for message in messages],
        [message.reply_to for message in messages],
        [message.thread for message in messages],
    )


async def _store(
    tx: Transaction,
    numbered: list[_Numbered],
    heads: dict[tuple[UUID, UUID], int],
    talks: dict[tuple[UUID, UUID], Talk],
    now: datetime,
) -> None:
    messages = [each.message for each in numbered]
    said = [talks.get(key) for key in heads]
    await tx.execute(
        """
        with moved as (
            update messaging.conversations c set head_seq = h.head, last_at = $1,
                talk_last_id = case when h.talked then h.last_id else c.talk_last_id end,
                talk_turns = coalesce(h.turns, c.talk_turns),
                talk_characters = coalesce(h.characters, c.talk_characters),
                turn_until = case when h.over then null else c.turn_until end
            from unnest($2::uuid[], $3::uuid[], $4::bigint[], $15::boolean[], $16::uuid[], $17::integer[], $18::bigint[],
                $19::boolean[]) as h (org_id, id, head, talked, last_id, turns, characters, over)
            where c.org_id = h.org_id and c.id = h.id
        )
        insert into messaging.messages
            (org_id, conversation_id, seq, sender_id, sent_at, text, more, size, reply_to, thread, client_id)
        select n.org_id, n.conversation_id, n.seq, n.sender_id, $1, n.text, n.more, n.size, n.reply_to, n.thread, n.client_id
        from unnest($5::uuid[], $6::uuid[], $7::bigint[], $8::uuid[], $9::text[], $10::text[], $11::integer[],
            $12::bigint[], $13::bigint[], $14::text[])
            as n (org_id, conversation_id, seq, sender_id, text, more, size, reply_to, thread, client_id)
        """,
        now,
        [org_id for org_id, _ in heads],
        [conversation_id for _, conversation_id in heads],
        list(heads.values()),
        [each.caller.org_id for each in numbered],
        [message.conversation_id for message in messages],
        [message.seq for message in messages],
        [message.sender_id for message in messages],
        [message.text for message in messages],
        [each.post.more for each in numbered],
        [each.post.size for each in numbered],
        [message.reply_to for message in messages],
        [message.thread for message in messages],
        [message.client_id for message in messages],
        [talk is not None for talk in said],
        [None if talk is None else talk.last_id for talk in said],
        [None if talk is None else talk.turns for talk in said],
        [None if talk is None else talk.characters for talk in said],
        [talk is not None and talk.over for talk in said],
    )


async def _emit(tx: Transaction, numbered: list[_Numbered]) -> None:
    for each in numbered:
        made = each.message
        event = MessagePosted(
            each.caller.org_id,
            made.conversation_id,
            made.seq,
            made.sender_id,
            made.thread,
            made.reply_to,
            made.mentions,
        )
        await tx.emit(event, trace=each.caller.trace)
