"""What runs tell the rest of the mesh by themselves."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from polis.proto.catalog import ResourceKey
from polis.proto.contract import Event, event

Topic = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$(?!\n)",
        max_length=100,
        description="What an event of a run is about.",
        examples=["order.placed"],
    ),
]


@event(entity="run_id")
class RunEmitted(Event, frozen=True):
    """A step of a run tells something. Its id and `key` are the same when it is told again, after a crash in between."""

    run_id: UUID
    graph: ResourceKey
    topic: Topic
    key: Annotated[str, Meta(max_length=300, examples=["0190d3c4-1c2f-7a53-8a3e-2f6b7d1f0c11/tell/0"])]
    data: object = None
