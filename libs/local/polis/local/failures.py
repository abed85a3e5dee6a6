"""What goes wrong at a start, in words that a person can act on."""

from __future__ import annotations

from polis.db.migrate import MigrationRefused
from polis.local.nats import NatsFailed
from polis.local.programs import PostgresFailed


class CannotStart(Exception):
    """Something on this machine keeps the mesh from running; the message says what, in plain words."""


def in_words(error: BaseException) -> str:
    """The first cause in a line; its class too where the words alone would not tell."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, (CannotStart, PostgresFailed, NatsFailed, MigrationRefused)):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return f"{type(error).__name__}: {error}"
