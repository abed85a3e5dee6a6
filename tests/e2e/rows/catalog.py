"""Resources and artifacts beyond the main job."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, Any] = {}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {}
USERS_ONLY: set[str] = set()
