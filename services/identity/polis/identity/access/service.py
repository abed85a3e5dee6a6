"""Answers about units, keys, roles, grants, standings and quotas."""

from __future__ import annotations

from polis.identity.access import (
    grant_service,
    key_service,
    quota_service,
    standing_service,
    unit_service,
)
from polis.service import Handlers

handlers = Handlers()
handlers.include(
    unit_service.handlers,
    key_service.handlers,
    grant_service.handlers,
    standing_service.handlers,
    quota_service.handlers,
)
