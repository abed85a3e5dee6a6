"""Of what there may be how much: bounds that hold for every org."""

from __future__ import annotations

from typing import Literal

from polis.proto.contract import Problem, problem

MAX_OPEN_SETS = 1_000
"""Change sets of an org that were not applied."""
MAX_PUBLISHER_KEYS = 1_000
"""Publishers' keys of an org that were not revoked."""
MAX_VERSIONS = 100_000
"""Versions of a resource."""


@problem(status=429)
class QuotaExceeded(Problem, frozen=True):
    """The org, or a resource, has as much of this as it may; what is deleted, withdrawn, revoked or expires makes room."""

    quota: Literal["open_uploads", "stored_bytes", "open_change_sets", "publisher_keys", "versions"]
    limit: int
    used: int
