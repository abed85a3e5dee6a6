"""Components text.base64, text.hash, text.hmac and uuid."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import uuid
from typing import Literal

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.text.given import the_text
from polis.runtime.components.worker import off_loop

Digest = Literal["sha256", "sha384", "sha512", "sha3_256", "blake2b", "sha1", "md5"]
Form = Literal["hex", "base64"]


class Base64(Struct, frozen=True):
    """Configuration of text.base64."""

    op: Literal["encode", "decode"]
    url: bool = False


class Hash(Struct, frozen=True):
    """Configuration of text.hash and text.hmac."""

    digest: Digest = "sha256"
    form: Form = "hex"
    secret_id: str = ""


class Id(Struct, frozen=True):
    """Configuration of uuid."""

    version: Literal[4, 7] = 7


@component("text.base64")
async def text_base64(step: Step, inputs: Inputs) -> None:
    config, text = msgspec.convert(step.config, Base64), the_text(inputs)
    step.emit("out", await off_loop(_encoded if config.op == "encode" else _decoded, text, url=config.url))


@component("text.hash")
async def text_hash(step: Step, inputs: Inputs) -> None:
    config, text = msgspec.convert(step.config, Hash), the_text(inputs)
    step.emit("out", _form(await off_loop(_digest, config.digest, _bytes(text)), config.form))


@component("text.hmac")
async def text_hmac(step: Step, inputs: Inputs) -> None:
    config, text = msgspec.convert(step.config, Hash), the_text(inputs)
    key = await step.reach.secret(config.secret_id, to=None)
    step.emit(
        "out", _form(await off_loop(hmac.digest, key.encode(), _bytes(text), config.digest), config.form)
    )


@component("uuid")
def new_uuid(step: Step, inputs: Inputs) -> None:
    from polis.db import new_id

    del inputs
    version = msgspec.convert(step.config, Id).version
    step.emit("out", str(new_id() if version == 7 else uuid.uuid4()))


def _encoded(text: str, *, url: bool) -> str:
    data = _bytes(text)
    return (base64.urlsafe_b64encode(data).rstrip(b"=") if url else base64.b64encode(data)).decode()


def _decoded(text: str, *, url: bool) -> str:
    plain = "".join(text.split())
    try:
        if url:
            data = base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
        else:
            data = base64.b64decode(plain, validate=True)
        return data.decode()
    except (binascii.Error, ValueError):
        raise StepFailed("base64.invalid", "this is no Base64 of a text in UTF-8") from None


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise StepFailed("text.not_unicode", "it holds half of a surrogate pair") from None


def _digest(name: Digest, data: bytes) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()


def _form(data: bytes, form: Form) -> str:
    return data.hex() if form == "hex" else base64.b64encode(data).decode()
