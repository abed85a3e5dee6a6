"""Settings: one frozen Struct per service, read once from POLIS_* names. Nothing else reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar, get_type_hints

import msgspec
from msgspec import Meta, Struct

S = TypeVar("S", bound="Settings")

_PREFIX = "POLIS_"
_FILE = "_FILE"
FOREIGN = frozenset({"POLIS_TEST_POSTGRES_URL", "POLIS_TEST_NATS_URL", "POLIS_TEST_BACKEND"})
"""Names that belong to the test kit and are no typos."""


class Secret(str):
    """A setting that never shows: its repr is hidden and no encoder takes it; `str(secret)` is the plain value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(hidden)"


class Settings(Struct, frozen=True, kw_only=True):
    """What every service needs. Defaults fit the embedded stack; `<NAME>_FILE` reads a value from a file."""

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str = ""
    nats_password: Secret = Secret("")
    postgres_url: Secret = Secret("")
    migrator_url: Secret = Secret("")
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    credential: Secret = Secret("")
    log_level: str = "info"
    otlp_url: str = ""
    trace_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.05
    slots: Annotated[int, Meta(ge=1, le=10_000)] = 128
    queue: Annotated[int, Meta(ge=0, le=100_000)] = 2_000
    call_timeout_s: Annotated[float, Meta(gt=0, le=600)] = 10.0
    drain_s: Annotated[float, Meta(gt=0, le=60)] = 8.0
    database_connections: Annotated[int, Meta(ge=1, le=64)] = 6


class BadSettings(Exception):
    """A setting is unknown, missing or has a wrong value; the message names it."""


def read(kind: type[S], environment: Mapping[str, str] | None = None) -> S:
    """The settings of this process; BadSettings names what is wrong with which name."""
    given = os.environ if environment is None else environment  # noqa: TID251 - the one place
    values: dict[str, str] = {}
    for name, value in given.items():
        if not name.startswith(_PREFIX) or name in FOREIGN:
            continue
        field = name.removeprefix(_PREFIX).lower()
        if field in kind.__struct_fields__:
            values[field] = value
        elif name.endswith(_FILE) and field.removesuffix(_FILE.lower()) in kind.__struct_fields__:
            values[field.removesuffix(_FILE.lower())] = _from_file(name, value)
        else:
            raise BadSettings(f"{name} is not a setting of this service")
    try:
        return msgspec.convert(values, kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise BadSettings(f"settings: {error}") from None


def shown(settings: Settings) -> dict[str, str]:
    """The effective settings by their POLIS_* names, with secrets hidden."""
    kinds = get_type_hints(type(settings))
    return {
        _PREFIX + name.upper(): "[hidden]" if kinds[name] is Secret else str(getattr(settings, name))
        for name in settings.__struct_fields__
    }


def _from_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSettings(f"{name}: {error.strerror}: {path}") from None


def _decode(kind: type, value: object) -> object:
    if kind is Secret:
        return Secret(value)
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(kind)
