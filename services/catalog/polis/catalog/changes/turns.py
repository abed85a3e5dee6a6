"""Whose turn it is: an org's change sets are made one after another, and those that wait hold no connection meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from uuid import UUID


class Turns:
    """One turn at a time for each org, in this replica; among replicas the engine's lock in the database decides."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    def of(self, org_id: UUID) -> asyncio.Lock:
        """To be held while a set of this org is made."""
        return self._locks.setdefault(org_id, asyncio.Lock())
