"""Links by which somebody answers an ask once, without a session: signed, bounded in time, kept as hashes.

A token holds its org and 18 random bytes under a signature, so one that was made up costs no look into the database.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused
from polis.proto.runtime import AskLinkRefused, TooManyAskLinks

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.service import Secret

PATH = "/answer#"
"""Behind the `#`, so that the token reaches no server's log."""
MOST = 20
"""Links of one person to one ask at a time."""
LONGEST = timedelta(days=7)
"""For which a link holds that is mailed."""
_PREFIX = "pak_"
_ORG, _RANDOM, _MAC = 16, 18, 16


class Link(Struct, frozen=True):
    """Who may answer what by a link."""

    org_id: UUID
    ask_id: UUID
    principal_id: UUID
    hash: bytes


class Signer:
    """Makes and knows the tokens of one mesh: all replicas of the service have the same key."""

    def __init__(self, credential: Secret) -> None:
        self._key = hashlib.sha256(b"polis ask links v1\0" + str(credential).encode()).digest()

    def mint(self, org_id: UUID) -> str:
        body = org_id.bytes + secrets.token_bytes(_RANDOM)
        return _PREFIX + base64.urlsafe_b64encode(body + self._mac(body)).rstrip(b"=").decode()

    def org_of(self, token: str) -> UUID:
        """The org that a token was made for. Refused(AskLinkRefused) for one that this mesh did not make."""
        text = token.removeprefix(_PREFIX)
        try:
            given = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
        except (binascii.Error, ValueError):
            raise Refused(AskLinkRefused()) from None
        body, mac = given[: _ORG + _RANDOM], given[_ORG + _RANDOM :]
        if not token.startswith(_PREFIX) or not hmac.compare_digest(self._mac(body), mac):
            raise Refused(AskLinkRefused())
        return UUID(bytes=body[:_ORG])

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_MAC]


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def demand_room(tx: Transaction, ask_id: UUID, principal_id: UUID) -> None:
    """Refused(TooManyAskLinks) when somebody has as many links to a locked ask as may hold at a time."""
    held = await tx.value(
        """
        select count(*) from runtime.ask_links
        where org_id = $1 and ask_id = $2 and principal_id = $3 and used_at is null and expires_at > now()
        """,
        tx.org_id,
        ask_id,
        principal_id,
    )
    if held >= MOST:
        raise Refused(TooManyAskLinks(most=MOST))


async def keep(tx: Transaction, ask_id: UUID, principal_id: UUID, token: str, until: datetime) -> None:
    """Keep a new link. Refused as `demand_room`."""
    await demand_room(tx, ask_id, principal_id)
    await tx.execute(
        """
        insert into runtime.ask_links (org_id, hash, ask_id, principal_id, expires_at) values ($1, $2, $3, $4, $5)
        """,
        tx.org_id,
        digest(token),
        ask_id,
        principal_id,
        until,
    )


async def find(db: Tenant, token: str, at: datetime) -> Link:
    """A link that holds. Refused(AskLinkRefused)."""
    link = await db.row(
        Link,
        """
        select org_id, ask_id, principal_id, hash from runtime.ask_links
        where org_id = $1 and hash = $2 and expires_at > $3 and used_at is null
        """,
        db.org_id,
        digest(token),
        at,
    )
    if link is None:
        raise Refused(AskLinkRefused())
    return link


async def use(tx: Transaction, link: Link, at: datetime) -> None:
    """Use a link up. Refused(AskLinkRefused) when that has been done meanwhile."""
    used = await tx.execute(
        """
        update runtime.ask_links set used_at = $3
        where org_id = $1 and hash = $2 and expires_at > $3 and used_at is null
        """,
        tx.org_id,
        link.hash,
        at,
    )
    if not used:
        raise Refused(AskLinkRefused())
