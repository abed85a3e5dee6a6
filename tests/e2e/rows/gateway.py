"""Operations of the gateway itself."""

from __future__ import annotations

from typing import Any

from tests.e2e.rows.making import fixed

ROWS: dict[str, Any] = {
    "prove_browser_session": fixed("/session/second-factor", {"ticket": "wrong", "code": "000000"}),
    "confirm_browser_session": fixed("/session/confirm", {"password": "wrong"}),
    "issue_live_ticket": fixed("/live/tickets", {}),
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    ("prove_browser_session", "public"): {401},  # the row offers a wrong ticket
    ("confirm_browser_session", "allowed"): {422},  # and a wrong password
}
USERS_ONLY: set[str] = {"confirm_browser_session"}
