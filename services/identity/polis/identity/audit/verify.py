"""Verifies a chain: every record is there, says what it said, and the chain ends where it was written to end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.audit import log
from polis.proto.identity import AuditLink, AuditState, BrokenLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Transaction

PAGE = 500
"""Records read and hashed at a time: some 5 ms, so that nothing else waits for long."""
MOST = 20_000
"""Records that one answer verifies."""


class Link(Struct, frozen=True):
    """A record by its number and hash."""

    n: int
    hash: bytes

    @property
    def shown(self) -> AuditLink:
        return AuditLink(self.n, self.hash.hex())


ORIGIN = Link(0, log.GENESIS)


async def verify(
    tx: Transaction, org_id: UUID, after: int | None, noted: AuditLink | None, *, most: int = MOST
) -> AuditState:
    """What became of an org's chain, from its beginning or behind a record that was verified before."""
    head = await _head(tx, org_id)
    start = at = await _start(tx, org_id, after)
    fault = await _noted(tx, org_id, noted, start, head)
    while fault is None and at.n < min(head.n, start.n + most):
        found = await log.behind(tx, org_id, at.n, PAGE)
        kept = [stored for stored in found if stored.n <= head.n]
        if not kept:
            fault = BrokenLink(at.n + 1, "cut")
        else:
            at, fault = follow(at, kept)
    if fault is None and at.n == head.n:
        fault = BrokenLink(at.n, "changed") if at.hash != head.hash else await _unchained(tx, org_id, head)
    more = fault is None and at.n < head.n
    return AuditState(start.shown, at.shown, fault, at.n if more else None)


def follow(at: Link, records: Sequence[log.Stored]) -> tuple[Link, BrokenLink | None]:
    """As far as records continue a chain, and the first that does not."""
    for stored in records:
        if stored.n != at.n + 1:
            return at, BrokenLink(at.n + 1, "missing")
        if stored.hash != log.chained(at.hash, stored.n, stored.digest):
            return at, BrokenLink(stored.n, "changed")
        at = Link(stored.n, stored.hash)
    return at, None


async def _head(tx: Transaction, org_id: UUID) -> Link:
    """Where the chain ends: this is read first, so that what is written meanwhile is not missed."""
    head = await tx.row(Link, "select n, hash from identity.audit_heads where org_id = $1", org_id)
    return head or ORIGIN


async def _unchained(tx: Transaction, org_id: UUID, head: Link) -> BrokenLink | None:
    """A record behind the end of the chain, which is listed like any other: nobody wrote it there."""
    behind = await log.behind(tx, org_id, head.n, 1)
    return BrokenLink(behind[0].n, "changed") if behind else None


async def _start(tx: Transaction, org_id: UUID, after: int | None) -> Link:
    """The record to begin behind: the given one, else the last that was removed, else none."""
    if after:
        given = await _link(tx, org_id, after)
        if given is not None:
            return given
    cut = await tx.row(
        Link, "select n, hash from identity.audit_cuts where org_id = $1 order by n desc limit 1", org_id
    )
    return cut or ORIGIN


async def _noted(
    tx: Transaction, org_id: UUID, noted: AuditLink | None, start: Link, head: Link
) -> BrokenLink | None:
    """Whether a record noted down elsewhere is still what it was, unless it was removed as too old."""
    if noted is None or noted.n < start.n or not noted.n:
        return None
    if noted.n > head.n:
        return BrokenLink(noted.n, "cut")
    found = start if noted.n == start.n else await _link(tx, org_id, noted.n)
    if found is None:
        return BrokenLink(noted.n, "missing")
    return None if found.hash.hex() == noted.hash else BrokenLink(noted.n, "changed")


async def _link(tx: Transaction, org_id: UUID, n: int) -> Link | None:
    return await tx.row(Link, "select n, hash from identity.audit where org_id = $1 and n = $2", org_id, n)
