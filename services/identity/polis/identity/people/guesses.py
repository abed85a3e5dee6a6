"""Throttle of guesses at passwords, codes and links: a bucket per account, address or second factor (GCRA).

A bucket is taken from before the guess is looked at, and whether or not there is such an account, so a full stop tells
nothing; who guesses right gets it back.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.identity.seal import derived
from polis.proto import Refused
from polis.proto.problems import Overloaded

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db import Transaction
    from polis.identity.config import Config

_IPV6_SITE = 64
"""Bits of an IPv6 address that are one site's: the others are free for whoever guesses."""


class Bucket(Struct, frozen=True):
    """`burst` guesses at once, then one `every` so long. `forgives`: a right one fills it up again."""

    key: bytes
    burst: int
    every: timedelta
    forgives: bool = False


class Buckets:
    """The buckets of this mesh, by what is guessed at."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._key = derived(config.mesh_secret, "guesses v1")

    def sign_in(self, email: str, address: str, known: frozenset[str]) -> tuple[Bucket, ...]:
        """Of an account, by the address that was given for it, and of the client's.

        Where the account is signed in already it has a bucket for that place alone: whoever uses the common one up keeps
        its owner from signing in elsewhere only.
        """
        place = _site(address)
        at_home = bool(place) and place in {_site(other) for other in known}
        return (self.password(email, place if at_home else ""), *self.address(address))

    def password(self, email: str, place: str = "") -> Bucket:
        config = self._config
        name = f"{email}\0{place}"
        return self._bucket("password", name, config.sign_in_burst, config.sign_in_every_s, forgives=True)

    def code(self, account_id: UUID) -> Bucket:
        return self._bucket("code", account_id, self._config.code_burst, self._config.code_every_s)

    def forgotten(self, email: str) -> Bucket:
        return self._bucket("forgotten", email, self._config.forgotten_burst, self._config.forgotten_every_s)

    def address(self, address: str) -> tuple[Bucket, ...]:
        """Of a client's site; none where nobody told where it is."""
        site = _site(address)
        if not site:
            return ()
        return (self._bucket("address", site, self._config.address_burst, self._config.address_every_s),)

    def _bucket(
        self, kind: str, name: str | UUID, burst: int, every_s: float, *, forgives: bool = False
    ) -> Bucket:
        key = hmac.digest(self._key, f"{kind}\0{name}".encode(), "sha256")
        return Bucket(key, burst, timedelta(seconds=every_s), forgives)


async def take(tx: Transaction, *buckets: Bucket) -> None:
    """A guess from each; Refused(Overloaded), and none taken, when one is empty. Always in one order, for the locks."""
    for bucket in sorted(buckets, key=lambda b: b.key):
        taken = await tx.value(
            """
            insert into identity.guesses as g (bucket, full_at) values ($1, now() + $2::interval)
            on conflict (bucket) do update set full_at = greatest(g.full_at, now()) + $2::interval
            where greatest(g.full_at, now()) + $2::interval <= now() + $3::interval
            returning true
            """,
            bucket.key,
            bucket.every,
            bucket.burst * bucket.every,
        )
        if taken is None:
            raise Refused(Overloaded(retry_after_s=await _wait(tx, bucket)))


async def give_back(tx: Transaction, *buckets: Bucket) -> None:
    """The guess was right. In the order of `take`."""
    for bucket in sorted(buckets, key=lambda b: b.key):
        if bucket.forgives:
            await tx.execute("delete from identity.guesses where bucket = $1", bucket.key)
        else:
            await tx.execute(
                "update identity.guesses set full_at = full_at - $2::interval where bucket = $1",
                bucket.key,
                bucket.every,
            )


async def _wait(tx: Transaction, bucket: Bucket) -> float:
    wait = await tx.value(
        "select full_at + $2::interval - now() - $3::interval from identity.guesses where bucket = $1",
        bucket.key,
        bucket.every,
        bucket.burst * bucket.every,
    )
    return round(max(wait.total_seconds(), 1.0), 1) if isinstance(wait, timedelta) else 1.0


def _site(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> (128 - _IPV6_SITE) << (128 - _IPV6_SITE)))
