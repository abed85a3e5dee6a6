"""Access tokens (JWT, RFC 9068; Ed25519, RFC 8037): what they claim, how identity signs and how everybody verifies them.

There is one form of header, compared byte by byte, so no JSON of a stranger is read before the signature holds.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from polis.proto.identity import Jwk, Jwks

if TYPE_CHECKING:
    from collections.abc import Iterable

ISSUER = "polis"
AUDIENCE = "polis"
NO_ORG = UUID(int=0)
MAX_BYTES = 4096
MAX_LIFETIME_S = 3600
"""A token that claims to live longer was not issued by this mesh."""
SKEW_S = 60
"""How far the issuer's clock may be ahead of ours."""
CACHED = 20_000
"""Verified tokens kept; beyond it the older half is forgotten and verified anew when it comes again."""
SWEEP_S = 60.0
"""So often those that have expired are forgotten: few of them are ever shown again."""
_SIGNATURE_BYTES = 64
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class Claims(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token says of its bearer. `orgs`: role by org id; `sid`: what a revocation names; `scope`: narrows.

    `scopes`, by org id: what a role of the org's own may do; those of every org are ROLE_SCOPES.
    `unproved`: orgs that want a second factor for the role there, which the session lacks.
    `auth_time` (unix seconds) and `amr` (RFC 8176: pwd, otp, ...) tell when and how a person last proved who they are.
    """

    sub: UUID
    kind: str
    name: str
    org: UUID
    orgs: dict[str, str]
    iat: int
    exp: int
    jti: str
    sid: UUID | None = None
    scope: str | None = None
    nbf: int | None = None
    act: dict[str, str] | None = None
    auth_time: int | None = None
    amr: tuple[str, ...] = ()
    scopes: dict[str, str] = {}
    unproved: tuple[str, ...] = ()


class _Header(Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    kid: str
    typ: str


class InvalidToken(Exception):
    """The token is refused. `unknown_key`: it is well-formed and names a key that is not known here, or not yet."""

    def __init__(self, reason: str, *, unknown_key: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unknown_key = unknown_key


class SigningKey:
    """A private key with the id by which verifiers find its public half."""

    __slots__ = ("header", "kid", "private")

    def __init__(self, kid: str, private: Ed25519PrivateKey) -> None:
        self.kid = kid
        self.private = private
        self.header = _header(kid)

    def __repr__(self) -> str:
        return f"SigningKey({self.kid})"


def public_jwk(key: SigningKey) -> Jwk:
    """What verifiers know of a signing key."""
    return Jwk(kty="OKP", crv="Ed25519", kid=key.kid, x=_encoded(key.private.public_key().public_bytes_raw()))


def sign(claims: Claims, key: SigningKey) -> str:
    """The token. ValueError when it would be longer than verifiers accept."""
    payload = {"iss": ISSUER, "aud": AUDIENCE} | msgspec.to_builtins(claims)
    signed = f"{key.header}.{_encoded(msgspec.json.encode(payload))}"
    token = f"{signed}.{_encoded(key.private.sign(signed.encode()))}"
    if len(token) > MAX_BYTES:
        raise ValueError(f"the token is {len(token)} bytes long, over {MAX_BYTES}")
    return token


class Verifier:
    """Verifies tokens against the public keys that it was given. A token seen before costs a look-up."""

    def __init__(self) -> None:
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._kids: frozenset[str] = frozenset()
        self._verified: dict[str, Claims] = {}
        self._by_session: dict[UUID, set[str]] = {}
        self._sweep_at = 0.0

    @property
    def has_keys(self) -> bool:
        return bool(self._keys)

    def replace_keys(self, jwks: Jwks) -> None:
        """Verify with these keys only; tokens that were accepted under a key that is gone are forgotten."""
        keys = {_header(k.kid): Ed25519PublicKey.from_public_bytes(_decoded(k.x)) for k in jwks.keys}
        if self._keys.keys() - keys.keys():
            self._forget(tuple(self._verified))
        self._keys = keys
        self._kids = frozenset(key.kid for key in jwks.keys)

    def verify(self, token: str, now: float) -> Claims:
        """The claims of a token that is valid at `now` (unix seconds). Raises InvalidToken."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._check(token, now)
            self._remember(token, claims, now)
        elif claims.exp <= now:
            self._forget((token,))
            raise InvalidToken("the token has expired")
        return claims

    def drop(self, session_id: UUID) -> None:
        """Forget the verified tokens of a session. Refusing them from then on is the caller's part."""
        self._forget(tuple(self._by_session.get(session_id, ())))

    def _check(self, token: str, now: float) -> Claims:
        if len(token) > MAX_BYTES or not _FORM.fullmatch(token):
            raise InvalidToken("this is no token")
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        key = self._keys.get(header)
        if key is None:
            raise self._stranger(header)
        try:
            key.verify(_signature(signature), signed.encode())
        except (InvalidSignature, ValueError):
            raise InvalidToken("the signature does not hold") from None
        return _claims(payload, now)

    def _stranger(self, header: str) -> InvalidToken:
        try:
            read = msgspec.json.decode(_decoded(header), type=_Header)
        except (ValueError, msgspec.MsgspecError):
            return InvalidToken("the header is not one of ours")
        # The same fields in another order or spelling are not ours either, and fetching keys would not help.
        if header != _header(read.kid) or read.kid in self._kids:
            return InvalidToken("the header is not one of ours")
        return InvalidToken("the key is unknown", unknown_key=True)

    def _remember(self, token: str, claims: Claims, now: float) -> None:
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            self._forget([old for old, known in self._verified.items() if known.exp <= now])
        if len(self._verified) >= CACHED:
            self._forget(tuple(self._verified)[: CACHED // 2])
        self._verified[token] = claims
        if claims.sid is not None:
            self._by_session.setdefault(claims.sid, set()).add(token)

    def _forget(self, tokens: Iterable[str]) -> None:
        for token in tokens:
            claims = self._verified.pop(token)
            if claims.sid is not None:
                siblings = self._by_session[claims.sid]
                siblings.discard(token)
                if not siblings:
                    del self._by_session[claims.sid]


def _claims(payload: str, now: float) -> Claims:
    """The claims of a payload whose signature holds; it still may be meant for others, or for another time."""
    try:
        # Not msgspec's decoder: it takes the last of two equal names and 1.0 for a 1.
        read = json.loads(_decoded(payload).decode(), object_pairs_hook=_unique, parse_constant=_no_number)
        claims = msgspec.convert(read, Claims)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise InvalidToken("the claims cannot be read") from None
    if read.get("iss") != ISSUER or read.get("aud") != AUDIENCE:
        raise InvalidToken("the token is not for this mesh")
    if claims.exp <= now:
        raise InvalidToken("the token has expired")
    if max(claims.iat, claims.nbf or 0) > now + SKEW_S:
        raise InvalidToken("the token is not valid yet")
    if not 0 < claims.exp - claims.iat <= MAX_LIFETIME_S:
        raise InvalidToken("the token claims a lifetime that is never issued")
    # A user who is in no org has a token too: it opens what needs none.
    if str(claims.org) not in claims.orgs and (claims.orgs or claims.org != NO_ORG):
        raise InvalidToken("the token's org is none of its orgs")
    return claims


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a name stands twice")
    return read


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


def _header(kid: str) -> str:
    return _encoded(msgspec.json.encode(_Header(alg="EdDSA", kid=kid, typ="at+jwt")))


def _signature(text: str) -> bytes:
    signature = _decoded(text)
    # The last character has unused bits: without this, one token would have 16 spellings.
    if len(signature) != _SIGNATURE_BYTES or _encoded(signature) != text:
        raise ValueError("not a signature")
    return signature


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
