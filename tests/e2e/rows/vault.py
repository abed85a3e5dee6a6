"""Secrets, the audit log, OAuth2 endpoints."""

from __future__ import annotations

from typing import Any

from tests.e2e.rows.making import fixed

ROWS: dict[str, Any] = {
    "list_audit": fixed("/audit"),
    "verify_audit": fixed("/audit/verification"),
    "export_audit": fixed("/audit/export"),
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {}
USERS_ONLY: set[str] = set()
