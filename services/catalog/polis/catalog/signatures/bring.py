"""Signatures that come back with what they vouch for: told by an export, kept again where they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.catalog.signatures import ed25519
from polis.catalog.signatures import rows as signatures
from polis.catalog.versions import rows as versions
from polis.proto import Refused
from polis.proto.catalog import Change, PlannedStep, Signature

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from polis.db import Transaction
    from polis.proto.catalog import Resource

_READ = 200
"""Signatures that are read together."""


class Told(Struct, frozen=True):
    """A signature of what the n-th resource has as its draft, or uses somewhere."""

    n: int
    digest: str
    key_id: UUID
    public_key: bytes
    signature: bytes

    def change(self, resource: Resource) -> Change:
        """What adds it to the version of this resource that has its digest."""
        return Change(
            "sign",
            resource.type,
            resource.key,
            digest=self.digest,
            public_key=ed25519.encoded(self.public_key),
            signature=ed25519.encoded(self.signature),
        )


async def told(tx: Transaction, org_id: UUID, found: Sequence[Resource]) -> AsyncIterator[Told]:
    """The signatures that count, of what these resources are now, in their order, some at a time."""
    last = Told(0, "", UUID(int=0), b"", b"")
    while True:
        rows = await tx.rows(
            Told,
            """
            select distinct on (w.n, v.digest, s.key_id) w.n::integer as n, v.digest, s.key_id, s.public_key, s.signature
            from unnest($2::uuid[]) with ordinality as w (id, n)
            join catalog.signatures s on s.org_id = $1 and s.resource_id = w.id and s.revoked_at is null
            join catalog.versions v on v.org_id = $1 and v.resource_id = w.id and v.number = s.number
            join catalog.drafts d on d.org_id = $1 and d.resource_id = w.id
            where (w.n, v.digest, s.key_id) > ($3, $4, $5)
                and (v.content = d.content or (
                    select true from catalog.activations a
                    join catalog.versions u on u.org_id = $1 and u.resource_id = w.id and u.number = a.number
                    where a.org_id = $1 and a.resource_id = w.id and u.digest = v.digest limit 1))
            order by w.n, v.digest, s.key_id limit $6
            """,
            org_id,
            [resource.id for resource in found],
            last.n,
            last.digest,
            last.key_id,
            _READ,
        )
        for row in rows:
            yield row
        if len(rows) < _READ:
            return
        last = rows[-1]


async def brought(tx: Transaction, resource: Resource, change: Change, *, at: datetime) -> PlannedStep:
    """Add a signature to the version of a locked resource that it vouches for, or say why it vouches for none here."""
    step = PlannedStep("sign", change.type, change.key, "none", public_key=change.public_key)
    digest, public_key, signature = str(change.digest), str(change.public_key), str(change.signature)
    try:
        statement = ed25519.statement(change.type, change.key, digest)
        ed25519.demand(ed25519.decoded(public_key), ed25519.decoded(signature), statement)
    except Refused:
        return msgspec.structs.replace(step, reason="it is none of this content by this key")
    key = await signatures.key(tx, resource.org_id, ed25519.decoded(public_key))
    if key is None or key.revoked_at is not None:
        reason = "no publisher of the org has this key" if key is None else "its key was revoked"
        return msgspec.structs.replace(step, reason=reason)
    number = await versions.number_of(tx, resource, digest)
    if number is None:
        return msgspec.structs.replace(step, reason="no version has this content")
    found = Signature(resource.id, number, key.id, key.principal_id, public_key, signature, at)
    new = await signatures.sign(tx, resource, found) == found
    return msgspec.structs.replace(step, effect="create" if new else "none", number=number)
