"""A secret's value in its envelope: how it is closed, by root key alone or by its owner's key as well, and opened."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.identity.vault.cipher import (
    KEY_BYTES,
    SALT_BYTES,
    Place,
    Ring,
    Unreadable,
    Wrapped,
    decrypt,
    encrypt,
)

if TYPE_CHECKING:
    from polis.identity.people.passwords import Hasher

VALUE = "value"
DATA_KEY = "data key"
OWNERS_KEY = "owner's key"


class Envelope(Struct, frozen=True):
    """What is stored of a value. `salt`: of a sealed one, whose data key lies under its owner's key, and that under a root key."""

    place: Place
    sealed: bytes
    key: Wrapped
    salt: bytes | None = None


class Opening(Struct, frozen=True):
    """The data key of a sealed secret, under a root key alone until then."""

    place: Place
    key: Wrapped
    until: datetime

    @property
    def purpose(self) -> str:
        """The time is bound too: an opening lasts no longer than its owner said, whoever writes to the database."""
        return opened_until(self.until)


def opened_until(until: datetime) -> str:
    return f"opened until {int(until.timestamp())}"


async def close(ring: Ring, hasher: Hasher, place: Place, value: str, passphrase: str | None) -> Envelope:
    """Put a value into an envelope; with a passphrase only who knows it opens it. Refused as `Hasher.hash`."""
    data_key = os.urandom(KEY_BYTES)
    sealed = encrypt(data_key, value.encode(), place.bound(VALUE))
    if passphrase is None:
        return Envelope(place, sealed, ring.wrap(place, DATA_KEY, data_key))
    salt = os.urandom(SALT_BYTES)
    owners = await hasher.derive(passphrase, salt)
    locked = encrypt(owners, data_key, place.bound(OWNERS_KEY))
    return Envelope(place, sealed, ring.wrap(place, DATA_KEY, locked), salt)


async def unlock(
    ring: Ring, hasher: Hasher, envelope: Envelope, passphrase: str, until: datetime
) -> Opening | None:
    """Open a sealed envelope for a while; None when the passphrase is another. Raises Unreadable."""
    locked = ring.unwrap(envelope.place, DATA_KEY, envelope.key)
    if envelope.salt is None:
        raise Unreadable("it is not sealed")
    owners = await hasher.derive(passphrase, envelope.salt)
    try:
        data_key = decrypt(owners, locked, envelope.place.bound(OWNERS_KEY))
    except Unreadable:
        return None
    return Opening(envelope.place, ring.wrap(envelope.place, opened_until(until), data_key), until)


def read(ring: Ring, envelope: Envelope, opening: Opening | None = None) -> str:
    """The value; of a sealed one by its opening. Raises Unreadable."""
    place = envelope.place
    if opening is not None:
        data_key = ring.unwrap(place, opening.purpose, opening.key)
    else:
        data_key = ring.unwrap(place, DATA_KEY, envelope.key)
    return decrypt(data_key, envelope.sealed, place.bound(VALUE)).decode()
