"""Who may see which resource: the same rule for get, list, versions and resolving."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused
from polis.proto.problems import Forbidden

if TYPE_CHECKING:
    from polis.proto.catalog import Visibility
    from polis.service import Actor

SYSTEM_ORG = UUID(int=1)
"""Owner of what ships with the mesh. Only the bootstrap writes there."""
_MANAGERS = frozenset({"owner", "admin"})
EVERYTHING = ""
"""A regular expression that every name fits."""
WRITING = "catalog:write"
"""What an actor lacks who may see a private thing and not change it."""
PUBLISHING = "catalog:public"
"""What an actor lacks who may not show something to every org."""
SHOWING = "catalog:visibility"
"""What an actor lacks who may not say who else sees a thing."""
MANAGING = "catalog:manage"
"""What an actor lacks who may not change what belongs to everybody in the org."""


class Viewer(Struct, frozen=True):
    """Somebody who looks. `manages`: an owner or admin, who sees the private resources of others in the org too.

    reading, writing: regular expressions of the names (`graph/digest`, `artifact/<id>`) that grants open to them.
    scopes: what their token may do.
    """

    org_id: UUID
    principal_id: UUID
    manages: bool
    reading: str | None = None
    writing: str | None = None
    scopes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, actor: Actor) -> Viewer:
        return cls(actor.org_id, actor.principal_id, actor.role in _MANAGERS, scopes=actor.scopes)

    @property
    def opens(self) -> str | None:
        """An expression of the names of private things that they may see; None for none but their own."""
        return EVERYTHING if self.manages else self.reading

    @property
    def opens_writing(self) -> str | None:
        """The same for what they may change."""
        return EVERYTHING if self.manages else self.writing

    def demand_visibility(self, visibility: Visibility) -> None:
        """Refused(Forbidden) when somebody would show a resource to every org who does not manage their own."""
        if visibility == "public" and not self.manages:
            raise Refused(Forbidden(scope=PUBLISHING))

    def demand_showing(self, owner_id: UUID, visibility: Visibility) -> None:
        """Refused(Forbidden) when somebody would change who sees a thing that is neither theirs nor theirs to manage."""
        self.demand_visibility(visibility)
        if not (self.manages or self.principal_id == owner_id):
            raise Refused(Forbidden(scope=SHOWING))
