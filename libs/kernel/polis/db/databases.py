"""Databases of a server as a whole: made, copied and dropped by its administrator; for set-up and tests."""

from __future__ import annotations

from polis.db.database import checked_name
from polis.db.session import session


async def create_database(admin_url: str, name: str) -> None:
    """Make a database unless it exists."""
    async with session(admin_url, "polis-setup") as admin:
        if not await admin.fetchval("select 1 from pg_database where datname = $1", checked_name(name)):
            await admin.execute(f"create database {name}")


async def clone_database(admin_url: str, name: str, template: str) -> None:
    """Make a database that begins as a copy of another one, to which nobody may be connected."""
    async with session(admin_url, "polis-setup") as admin:
        copy = f"create database {checked_name(name)} template {checked_name(template)}"
        await admin.execute(
            f"{copy} strategy file_copy"
        )  # a log of every page would cost more than the pages


async def drop_database(admin_url: str, name: str) -> None:
    """Drop a database, and whoever is connected to it."""
    async with session(admin_url, "polis-setup") as admin:
        await admin.execute(f"drop database if exists {checked_name(name)} with (force)")
