"""What the catalog resolved is kept for a moment and no longer: also its memory."""

from __future__ import annotations

import time
from types import SimpleNamespace
from uuid import UUID

from polis.runtime.runs.remembered import TTL_S, Changes, Remembered

ORG = UUID(int=1)


def actor(number):
    return SimpleNamespace(token=f"token {number}", org_id=ORG)


def test_what_counts_no_more_is_let_go_of_while_others_come(monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    remembered = Remembered(Changes())
    for number in range(3):
        remembered.keep(actor(number), "graph", number, remembered.begin(actor(number)))
        now += 1

    now += TTL_S - 2
    remembered.keep(actor(3), "graph", 3, remembered.begin(actor(3)))

    assert [remembered.get(actor(number), "graph") for number in range(4)] == [None, None, 2, 3]
    assert len(remembered._kept) == 2
