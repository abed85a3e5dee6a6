"""Who may do what in a conversation: by taking part, because it is open to the org, or by a grant on `conversation/<id>`.

A grant of `messaging:read` opens it for reading; one of `messaging:write` lets somebody come in by themselves; one of
`messaging:control` lets whoever sees it control what is said in it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused, messaging
from polis.proto.identity import CheckAccess, PrincipalNotFound
from polis.proto.problems import Forbidden

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.proto.identity import DataClass
    from polis.proto.messaging import Conversation
    from polis.service import Context

READ, WRITE, CONTROL = "messaging:read", "messaging:write", "messaging:control"
TAKING_PART = "conversation:participant"
"""What an actor lacks who may see a conversation and takes no part in it."""
SPEAKING = "conversation:member"
"""What an observer lacks."""
MANAGING = "conversation:admin"
"""What an actor lacks who does not manage a conversation."""
STEERING = "conversation:responsible"
"""What an actor lacks who is neither responsible for a conversation nor manages it."""
OWNING = "conversation:owner"
_MANAGERS = frozenset({"owner", "admin"})


class ConversationRow(Struct, frozen=True):
    """A conversation as it is stored, and what the caller is in it."""

    id: UUID
    org_id: UUID
    kind: str
    name: str
    topic: str
    visibility: str
    data_class: str
    created_by: UUID
    created_at: datetime
    head_seq: int
    last_at: datetime
    responsible_id: UUID
    kept_from: int
    retention_days: int | None
    archived_at: datetime | None
    first_id: UUID | None
    second_id: UUID | None
    role: str | None = None
    state: str | None = None
    muted_until: datetime | None = None
    read_seq: int | None = None

    @property
    def conversation(self) -> Conversation:
        pair = (self.first_id, self.second_id)
        return messaging.Conversation(
            id=self.id,
            org_id=self.org_id,
            kind=self.kind,  # type: ignore[arg-type] # its table holds no other
            name=self.name,
            topic=self.topic,
            visibility=self.visibility,  # type: ignore[arg-type] # as above
            data_class=self.data_class,  # type: ignore[arg-type] # as above
            created_by=self.created_by,
            created_at=self.created_at,
            head_seq=self.head_seq,
            last_at=self.last_at,
            responsible_id=self.responsible_id,
            kept_from=self.kept_from,
            retention_days=self.retention_days,
            archived_at=self.archived_at,
            with_ids=tuple(each for each in pair if each is not None),
        )

    @property
    def joined(self) -> bool:
        return self.state == "joined"

    @property
    def manages(self) -> bool:
        return self.joined and self.role in _MANAGERS

    @property
    def owns(self) -> bool:
        return self.joined and self.role == "owner"

    @property
    def open_to_org(self) -> bool:
        return self.visibility == "org" and self.state != "banned"

    def demand_joined(self) -> None:
        """Refused(Forbidden) for who may see it and takes no part in it."""
        if not self.joined:
            raise Refused(Forbidden(scope=TAKING_PART))

    def demand_managing(self) -> None:
        """Refused(Forbidden) unless the caller is an owner or admin of it."""
        self.demand_joined()
        if not self.manages:
            raise Refused(Forbidden(scope=MANAGING))

    def demand_speaking(self, now: datetime) -> None:
        """Refused unless the caller may say something in it now."""
        self.demand_joined()
        demand_voice(self.role or "", self.muted_until, now)
        if self.archived_at is not None:
            raise Refused(messaging.ConversationArchived(conversation_id=self.id))

    def demand_several(self) -> None:
        """Refused(DirectConversation) where two have to stay two."""
        if self.kind == "direct":
            raise Refused(messaging.DirectConversation(conversation_id=self.id))


COLUMNS = """
    c.id, c.org_id, c.kind, c.name, c.topic, c.visibility, c.data_class, c.created_by, c.created_at, c.head_seq, c.last_at,
    c.responsible_id, c.kept_from, c.retention_days, c.archived_at, c.first_id, c.second_id, p.role, p.state, p.muted_until,
    p.read_seq
"""
_SEEN = f"""
    select {COLUMNS}
    from messaging.conversations c
    left join messaging.participants p
        on p.org_id = c.org_id and p.conversation_id = c.id and p.principal_id = $3
    where c.org_id = $1 and c.id = $2
"""  # noqa: S608 - the parts are constants


def demand_voice(role: str, muted_until: datetime | None, now: datetime) -> None:
    """Refused(Forbidden) for an observer, Refused(MutedInConversation) for who may say nothing for a while."""
    if role == "observer":
        raise Refused(Forbidden(scope=SPEAKING))
    if muted_until is not None and muted_until > now:
        raise Refused(messaging.MutedInConversation(until=muted_until))


async def see(
    ctx: Context[Any], conversation_id: UUID, db: Tenant | Transaction | None = None
) -> ConversationRow:
    """A conversation that the caller may read. Refused(ConversationNotFound)."""
    row = await _row(db or ctx.db, ctx, conversation_id)
    if row is not None and (row.joined or row.open_to_org):
        return row
    if row is not None and row.state != "banned" and await _granted(ctx, row, READ):
        return row
    raise Refused(messaging.ConversationNotFound(conversation_id=conversation_id))


async def lock(tx: Transaction, ctx: Context[Any], conversation_id: UUID) -> ConversationRow:
    """The same, locked until the transaction ends: what happens in a conversation happens one after another."""
    await lock_rows(tx, ctx.actor.org_id, [conversation_id])
    return await see(ctx, conversation_id, tx)


async def lock_whoever(tx: Transaction, ctx: Context[Any], conversation_id: UUID) -> ConversationRow:
    """A locked conversation whatever the caller is in it: for who is let to it by something else. Refused(ConversationNotFound)."""
    await lock_rows(tx, ctx.actor.org_id, [conversation_id])
    row = await _row(tx, ctx, conversation_id)
    if row is None:
        raise Refused(messaging.ConversationNotFound(conversation_id=conversation_id))
    return row


async def lock_to_join(tx: Transaction, ctx: Context[Any], conversation_id: UUID) -> ConversationRow:
    """A locked conversation that the caller is in, is invited to, may come into, or is banned from. Refused(ConversationNotFound)."""
    await lock_rows(tx, ctx.actor.org_id, [conversation_id])
    row = await _row(tx, ctx, conversation_id)
    known = row is not None and (row.state in ("joined", "invited", "banned") or row.visibility == "org")
    if row is None or not (known or await _granted(ctx, row, WRITE)):
        raise Refused(messaging.ConversationNotFound(conversation_id=conversation_id))
    return row


async def lock_rows(tx: Transaction, org_id: UUID, conversation_ids: list[UUID]) -> None:
    """By themselves, in the order of all who lock several: what is read behind this is what others have committed."""
    await tx.execute(
        "select from messaging.conversations c where c.org_id = $1 and c.id = any($2::uuid[]) order by c.id for no key update",
        org_id,
        conversation_ids,
    )


async def granted_to(
    ctx: Context[Any], org_id: UUID, conversation_id: UUID, principal_id: UUID, data_class: DataClass
) -> bool:
    """Whether a grant lets somebody who does not call read a conversation."""
    question = CheckAccess(org_id, principal_id, READ, _name(conversation_id), data_class=data_class)
    return await _asked(ctx, question)


async def may_control(ctx: Context[Any], row: ConversationRow) -> bool:
    """Whether a grant lets the caller control what is said in a conversation that it sees."""
    return await _granted(ctx, row, CONTROL)


async def _row(db: Tenant | Transaction, ctx: Context[Any], conversation_id: UUID) -> ConversationRow | None:
    return await db.row(ConversationRow, _SEEN, ctx.actor.org_id, conversation_id, ctx.actor.principal_id)


async def _granted(ctx: Context[Any], row: ConversationRow, verb: str) -> bool:
    actor = ctx.actor
    return await _asked(
        ctx,
        CheckAccess(
            actor.org_id,
            actor.principal_id,
            verb,
            _name(row.id),
            data_class=row.data_class,  # type: ignore[arg-type] # its table holds no other
            scopes=tuple(sorted(actor.scopes)),
        ),
    )


async def _asked(ctx: Context[Any], question: CheckAccess) -> bool:
    try:
        decision = await ctx.call(question, as_service=True)
    except Refused as refusal:
        if isinstance(refusal.problem, PrincipalNotFound):
            return False
        raise
    return decision.outcome == "allowed"


def _name(conversation_id: UUID) -> str:
    return f"conversation/{conversation_id}"
