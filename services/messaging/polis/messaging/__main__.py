"""`python -m polis.messaging` runs messaging."""

from __future__ import annotations

from polis.messaging.service import service

if __name__ == "__main__":
    service.run()
