"""The catalog's settings beyond those of every service."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from polis.service.config import Settings

_GIB = 1024**3


class Config(Settings, frozen=True, kw_only=True):
    """How much an org may store, and how long an upload may stay open."""

    org_bytes: Annotated[int, Meta(ge=0)] = 10 * _GIB
    """Bytes of artifacts and announced uploads together, per org."""
    open_uploads: Annotated[int, Meta(ge=1, le=10_000)] = 64
    """Uploads that an org may have open at a time."""
    upload_ttl_s: Annotated[float, Meta(gt=0, le=604_800)] = 86_400.0
    sweep_every_s: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    downloads: Annotated[int, Meta(ge=1, le=1_000)] = 32
    """Files that are read at the same time; an org may have half of them."""
    queue: Annotated[int, Meta(ge=0, le=100_000)] = 256
    """Fewer than elsewhere: a waiting part of an upload holds half a megabyte."""
