"""Private files that were sent in conversations: who may read the message reads the file, and messaging says who that is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.proto.messaging import CheckFile

if TYPE_CHECKING:
    from polis.catalog.access import Viewer
    from polis.catalog.own import Own
    from polis.service import Context

_OWNER = """
    select a.created_by from catalog.artifacts a
    where a.org_id = $1 and a.id = $2 and a.visibility = 'private' and a.created_by <> $3
        and ('artifact/' || a.id ~ $4::text) is not true
"""


async def opened(ctx: Context[Own], viewer: Viewer, artifact_id: UUID) -> Viewer:
    """The viewer, to whom this one file is open too if it was sent to them. It is asked at each look: nothing has to be taken back."""
    owner_id = await ctx.db.value(_OWNER, viewer.org_id, artifact_id, viewer.principal_id, viewer.opens)
    if owner_id is None:
        return viewer
    asked = CheckFile(viewer.org_id, artifact_id, owner_id, viewer.principal_id)
    if not (await ctx.call(asked, as_service=True)).shown:
        return viewer
    return msgspec.structs.replace(viewer, reading=f"^artifact/{artifact_id}$")
