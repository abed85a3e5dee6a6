"""`polis sign` and `polis verify`: a publisher vouches for versions with a key of their own, and anybody checks that by themselves.

The private key stays in its file. What is signed is worked out here from the content, not taken from what the mesh says of it.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec import Struct
from rich.text import Text

from polis import graph
from polis.cli.api import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from polis.cli.api import Api

_NAME = re.compile(r"([a-z]{1,20})/([a-z][a-z0-9._-]{0,119})(?:@([1-9][0-9]{0,8}))?")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Unsigned(Exception):
    """A key or a version that does not serve; the message says why."""


class Wanted(Struct, frozen=True):
    """A version by name: `graph/email-digest@3`, or without `@` the one that an environment uses."""

    type: str
    key: str
    number: str
    environment: str

    @classmethod
    def of(cls, text: str, environment: str) -> Wanted:
        match = _NAME.fullmatch(text)
        if match is None:
            raise Unsigned(f"{text!r} is no name of a version: `type/key` or `type/key@number`")
        return cls(match[1], match[2], match[3] or "", environment)


async def sign(api: Api, text: str, environment: str, file: Path, console: Console) -> int:
    """Vouch for a version with the key of a file, which is made and made known when it is not there. The exit code."""
    try:
        private = key_of(file)
        version = await _version(api, Wanted.of(text, environment))
        key_id = await _known(api, private, file)
        told = {"key_id": key_id, "signature": _text(private.sign(_statement(version)))}
        await api.call("POST", f"{_path(version)}/signatures", told)
    except (Problem, Unsigned, OSError) as error:
        console.print(Text.assemble(("not signed: ", "red"), str(error)), soft_wrap=True)
        return 1
    console.print(
        f"signed {_named(version)} as {_text(_public(private))}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    return 0


async def verify(api: Api, text: str, environment: str, publishers: tuple[str, ...], console: Console) -> int:
    """Say who vouches for a version; the exit code is 0 when somebody does, or one of the publishers where some are named."""
    try:
        version = await _version(api, Wanted.of(text, environment))
        statement = _statement(version)
        vouching = [
            s["public_key"]
            for s in await _pages(api, f"{_path(version)}/signatures")
            if _counts(s, statement)
        ]
    except (Problem, Unsigned) as error:
        console.print(Text.assemble(("not verified: ", "red"), str(error)), soft_wrap=True)
        return 1
    for public in vouching:
        console.print(
            f"{_named(version)} is vouched for by {public}", highlight=False, soft_wrap=True, markup=False
        )
    if set(vouching) & set(publishers) or (vouching and not publishers):
        return 0
    by = "nobody" if not publishers else "none of the publishers that were named"
    console.print(f"[red]{by} vouches for {_named(version)}[/red]", highlight=False)
    return 1


def key_of(file: Path) -> Ed25519PrivateKey:
    """The private key of a file that only its owner reads; a new one where there is no file. Unsigned."""
    try:
        return _read(file)
    except FileNotFoundError:
        private = Ed25519PrivateKey.generate()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Never for a moment readable by others, and never over a key that somebody else is making.
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return private


def _read(file: Path) -> Ed25519PrivateKey:
    if file.stat().st_mode & _OTHERS:
        raise Unsigned(f"others can read {file}: `chmod 600` it, or make another key if they have")
    try:
        private = load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError):
        raise Unsigned(f"{file} holds no private key in PEM without a password") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise Unsigned(f"{file} holds a key of another kind than Ed25519")
    return private


async def _known(api: Api, private: Ed25519PrivateKey, file: Path) -> str:
    """The id of this key as the caller's own in their org, made known when it is new there."""
    me, public = (await api.call("GET", "/me"))["principal"]["id"], _text(_public(private))
    for key in await _pages(api, "/publisher-keys"):
        if key["public_key"] == public:
            if key["principal_id"] != me or key.get("revoked_at"):
                raise Unsigned(f"the key in {file} is somebody else's here, or was revoked")
            return str(key["id"])
    proof = _text(private.sign(f"polis publisher key {me}".encode()))
    told = {"name": file.name[:120], "public_key": public, "proof": proof}
    return str((await api.call("POST", "/publisher-keys", told))["id"])


async def _version(api: Api, wanted: Wanted) -> dict[str, Any]:
    """A version with its content, whose digest is checked. Problem, Unsigned."""
    if wanted.number:
        resource_id, number = await _resource(api, wanted), wanted.number
    else:
        query = urlencode({"environment": wanted.environment})
        used = await api.call("GET", f"/active/{wanted.type}/{quote(wanted.key)}?{query}")
        resource_id, number = used["resource_id"], used["number"]
    version: dict[str, Any] = await api.call("GET", f"/resources/{resource_id}/versions/{number}")
    if (version["type"], version["key"]) != (wanted.type, wanted.key):
        raise Unsigned(f"the mesh answers with {version['type']}/{version['key']} instead")
    if graph.digest(version["content"]) != version["digest"]:
        raise Unsigned(f"the content of {_named(version)} is not what its digest says")
    return version


async def _resource(api: Api, wanted: Wanted) -> str:
    org_id = (await api.call("GET", "/me"))["org_id"]
    query = urlencode({"text": wanted.key, "type": wanted.type})
    for found in await _pages(api, f"/search?{query}"):
        if (found["org_id"], found["key"]) == (org_id, wanted.key):
            return str(found["id"])
    raise Unsigned(f"the org has no {wanted.type}/{wanted.key} that you may see")


async def _pages(api: Api, path: str) -> list[dict[str, Any]]:
    """All items of a list."""
    start = f"{path}{'&' if '?' in path else '?'}limit=200"
    items: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = await api.call("GET", start + (f"&after={quote(after)}" if after else ""))
        items += page["items"]
        after = page.get("next_cursor")
    return items


def _counts(signature: dict[str, Any], statement: bytes) -> bool:
    """Whether a signature is one of this statement, by a key that was not revoked."""
    if signature.get("revoked_at"):
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(_bytes(signature["public_key"]))
        public.verify(_bytes(signature["signature"]), statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def _statement(version: dict[str, Any]) -> bytes:
    told = {name: version[name] for name in ("digest", "key", "type")}
    return graph.canonical({**told, "polis": "version"})


def _path(version: dict[str, Any]) -> str:
    return f"/resources/{version['resource_id']}/versions/{version['number']}"


def _named(version: dict[str, Any]) -> str:
    return f"{version['type']}/{version['key']}@{version['number']}"


def _public(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
