"""`python -m polis.identity` runs the identity service."""

from __future__ import annotations

from polis.identity.service import service

if __name__ == "__main__":
    service.run()
