"""A run as a picture of its graph."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Request, operation
from polis.proto.runtime.runs import RunNotFound

PictureFormat = Annotated[
    Literal["svg", "mermaid"], Meta(description="What the picture is written in.", examples=["svg"])
]


class RunPicture(Struct, frozen=True):
    """A picture: `image/svg+xml`, without scripts and without anything from elsewhere, or `text/vnd.mermaid`."""

    media_type: Literal["image/svg+xml", "text/vnd.mermaid"]
    content: str


@operation(http="GET /runs/{run_id}/picture", scope="runtime:read", problems=(RunNotFound,))
class GetRunPicture(Request[RunPicture], frozen=True):
    """Draw the graph that a run executes, with what has become of each step so far."""

    run_id: UUID
    format: PictureFormat = "svg"
