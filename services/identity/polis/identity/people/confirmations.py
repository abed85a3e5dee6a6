"""Links by which the address of a new account is confirmed, before there is an account: nothing of them is stored.

A token holds the address and its end, sealed. It stays good until then, which is harmless: an address has one account,
and who holds the token reads that address's mails.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.identity.seal import OtherSecret, Seal
from polis.proto import Refused
from polis.proto.identity import ConfirmationRefused

if TYPE_CHECKING:
    from polis.identity.config import Config

_PREFIX, _NAME = "psu_", "sign-up"


class _Confirmed(Struct, frozen=True, array_like=True):
    email: str
    until: datetime


class Confirmations:
    """Makes and checks the tokens of one mesh."""

    def __init__(self, config: Config) -> None:
        self._seal = Seal(config.mesh_secret, "sign-ups v1")

    def token(self, email: str, until: datetime) -> str:
        sealed = self._seal.close(_NAME, msgspec.msgpack.encode(_Confirmed(email, until)))
        return _PREFIX + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def demand(self, token: str, email: str, at: datetime) -> None:
        """Refused(ConfirmationRefused) unless the token is for this address (in its normal form) and has not ended."""
        confirmed = self._opened(token)
        if confirmed is None or confirmed.email != email or confirmed.until <= at:
            raise Refused(ConfirmationRefused())

    def _opened(self, token: str) -> _Confirmed | None:
        text = token.removeprefix(_PREFIX)
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
            return msgspec.msgpack.decode(self._seal.open(_NAME, sealed), type=_Confirmed)
        except (binascii.Error, ValueError, OtherSecret):
            return None
