"""How often somebody may say something is remembered of those who said it lately."""

from __future__ import annotations

from types import SimpleNamespace

from polis.messaging import bounds


def test_who_may_say_all_again_is_forgotten_and_nobody_else(monkeypatch):
    """One comes each second and says all that is let through: five seconds later it is as if they had said nothing."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(bounds, "time", SimpleNamespace(monotonic=lambda: clock.now))
    bucket = bounds.Bucket(2.0, 10)
    for second in range(1_000):
        clock.now = float(second)
        while not bucket.wait(second):
            pass

    assert len(bucket._arrivals) <= 512
    assert [bucket.wait(second) > 0 for second in range(994, 1_000)] == [False] * 5 + [True]
