"""`python -m polis.runtime` runs the runtime service."""

from __future__ import annotations

from polis.runtime.service import service

if __name__ == "__main__":
    service.run()
