"""Who may see which resource: the same rule for get, list, versions and resolving."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

if TYPE_CHECKING:
    from polis.service import Actor

SYSTEM_ORG = UUID(int=1)
"""Owner of what ships with the mesh. Only the bootstrap writes there."""
_SEES_PRIVATE = frozenset({"owner", "admin"})


class Viewer(Struct, frozen=True):
    """Somebody who looks: private resources show to their creator and to the org's owners and admins."""

    org_id: UUID
    principal_id: UUID
    sees_private: bool
    system_org: UUID = SYSTEM_ORG

    @classmethod
    def of(cls, actor: Actor) -> Viewer:
        return cls(actor.org_id, actor.principal_id, actor.role in _SEES_PRIVATE)
