"""What clients of OAuth2 do otherwise than others: they send forms, and go by a refusal's `error` (RFC 6749 5.2, as 7009 and 7662)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from polis.gateway.routes import PREFIX
from polis.proto import Refused
from polis.proto.contract import OAUTH
from polis.proto.identity import InvalidClient, InvalidRequest, UnsupportedGrantType
from polis.proto.problems import Invalid, Malformed, UnsupportedMedia

if TYPE_CHECKING:
    from polis.proto import Operation
    from polis.proto.problems import Fault

FORM = "application/x-www-form-urlencoded"
_UNTOLD = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
"""What an `error_description` may not hold."""
_CREDENTIALS = frozenset({"/client_id", "/client_secret"})
_ERRORS = {
    401: "invalid_token",
    403: "insufficient_scope",
    429: "temporarily_unavailable",
    503: "temporarily_unavailable",
    504: "temporarily_unavailable",
}
"""What RFC 6750 calls it, or RFC 6749 where a browser is told: clients know no others."""


def is_form(path: str, media_type: str) -> bool:
    """Whether a request is one of a client of OAuth2, which sends no JSON."""
    return has_path(path) and media_type.startswith(FORM)


def has_path(path: str) -> bool:
    """Whether a request is for an operation that clients of OAuth2 know."""
    return path.startswith(PREFIX + OAUTH)


def with_error(status: int, problem: bytes) -> bytes:
    """A problem with the members that such a client goes by, where it has none of its own."""
    told = msgspec.json.decode(problem, type=dict[str, object])
    error = _ERRORS.get(status, "server_error" if status >= 500 else "invalid_request")
    own = {"error": error, "error_description": _plain(str(told.get("detail") or told["title"]))}
    return msgspec.json.encode(own | told)


def refusal(operation: Operation, refused: Refused) -> Refused:
    """Why a request could not be read, in the words of who sent it."""
    if not operation.of_oauth:
        return refused
    match refused.problem:
        case Invalid(faults):
            return Refused(_of_faults(faults), refused.detail)
        case Malformed(reason):
            return Refused(InvalidRequest(error_description=_plain(reason)), refused.detail)
        case UnsupportedMedia():
            return Refused(InvalidRequest(error_description=f"The body is {FORM}."), refused.detail)
    return refused


def _of_faults(faults: tuple[Fault, ...]) -> InvalidRequest | InvalidClient | UnsupportedGrantType:
    """One that lacks its client's credentials is refused like one with wrong ones, where all else is well."""
    if any(f.pointer == "/grant_type" and f.detail.startswith("Invalid enum value") for f in faults):
        return UnsupportedGrantType()
    told = _plain("; ".join(f"{fault.pointer[1:]}: {fault.detail}" for fault in faults))
    if {fault.pointer for fault in faults} <= _CREDENTIALS:
        return InvalidClient(error_description=told)
    return InvalidRequest(error_description=told, faults=faults)


def _plain(text: str) -> str:
    return _UNTOLD.sub("?", text)
