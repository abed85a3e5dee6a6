"""Reads a database's catalog and tells what breaks the rules of tenancy, whatever the migrations meant to do.

A table is a tenant's unless its comment begins with `global:` and says why. A policy beside `tenant` and `across_orgs`
may only select, and the table's comment names it. A unique rule across orgs, and a function that runs as its owner, say
`global:` in a comment of their own.
"""

from __future__ import annotations

from importlib.resources import files

from polis.db.session import session


async def faults(url: str) -> list[str]:
    """Every broken rule in the schemas of all services, in words; empty when all is well. Any role may ask."""
    async with session(url, "polis-lint") as connection:
        return [row["fault"] for row in await connection.fetch(rules())]


def rules() -> str:
    """The statement that finds them, for whoever has a connection already."""
    return (files("polis.db") / "lint.sql").read_text(encoding="utf-8")
