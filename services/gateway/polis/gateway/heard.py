"""Entries of conversations as they are heard: read as far as the gateway needs, and told in the bytes in which they came."""

from __future__ import annotations

from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from polis.proto.messaging import ConversationChange, Participant


class _Head(Struct, frozen=True):
    """What of an entry is read."""

    seq: int
    kind: str
    actor_id: UUID
    participant: Participant | None = None


class _Change(ConversationChange, frozen=True):
    """The change that an entry is told as."""

    entry: Raw = Raw()  # type: ignore[assignment] # that entry, as it came


class HeardEntry:
    """A change, as a feed has it. kind: of the entry; change: what is told."""

    __slots__ = ("actor_id", "change", "kind", "participant", "seq")

    def __init__(self, head: _Head, entry: Raw) -> None:
        self.seq = head.seq
        self.kind = head.kind
        self.actor_id = head.actor_id
        self.participant = head.participant
        self.change = _Change(head.seq, entry)


_decode_head = msgspec.json.Decoder(_Head).decode


def heard(entry: Raw) -> HeardEntry:
    """msgspec.DecodeError when it is no entry."""
    return HeardEntry(_decode_head(entry), entry)


def as_told(thing: object) -> object:
    """What is written of a thing that is no Struct, as an encoder asks for it."""
    if isinstance(thing, HeardEntry):
        return thing.change
    raise NotImplementedError(type(thing).__name__)
