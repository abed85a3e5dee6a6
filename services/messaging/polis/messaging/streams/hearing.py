"""Whose silence is their own: a stream is lost when nothing was heard of it while it could have been."""

from __future__ import annotations

_LONGEST_GAP_S = 1.0


class Hearing:
    """Since when this process has been able to hear what is said, by its own clock.

    It looks again and again whether it is (broker and database answer, it is not itself held up). As long as a look fails, or
    comes late, nobody is heard; whoever was about to speak then has the whole lease from its end on.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._gap_s = max(lease_s / 3, _LONGEST_GAP_S)
        self._since = self._heard = float("-inf")

    def heeds(self, now: float) -> bool:
        """Whether all that was said within the lease until now was heard."""
        return now - self._heard <= self._gap_s and now - self._since >= self._lease_s

    def heard(self, now: float) -> None:
        """A look found that everything answers."""
        if now - self._heard > self._gap_s:
            self._since = now
        self._heard = now
