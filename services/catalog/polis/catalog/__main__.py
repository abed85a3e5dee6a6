"""`python -m polis.catalog` runs the catalog."""

from __future__ import annotations

from polis.catalog.service import service

if __name__ == "__main__":
    service.run()
