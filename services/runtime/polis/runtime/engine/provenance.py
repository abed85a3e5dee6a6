"""Provenance: which steps with a model's results a value was made of. It is carried along, and only ever grows.

A program without such a step carries nothing, and pays for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from polis.runtime.engine.node import NodeRun

Origin = tuple[str, bool]
"""The path of a step, and whether people have approved of what was made of its results."""
Origins = frozenset[Origin]
NONE: Origins = frozenset()


class Made(Struct, frozen=True, eq=False):
    """A value on its way from node to node, with what it was made of."""

    value: object
    origins: Origins


def opened(value: object, node: NodeRun) -> object:
    """A value as its node takes it; the node remembers what it was made of, with all else that it takes at once."""
    if type(value) is Made:
        node.origins |= value.origins
        return value.value
    return value


def marked(value: object, node: NodeRun) -> object:
    """A value as it leaves its node."""
    origins, trust = node.origins, node.stage.component.trust
    if trust == "model":
        origins |= {(node.stage.path, False)}
    elif trust == "approval" and origins:
        origins = frozenset((path, True) for path, _ in origins)
    if not origins:
        return value
    node.made |= origins
    return Made(value, origins)


def unapproved(origins: Origins) -> tuple[str, ...]:
    """The steps of which nobody has approved of all that was made of their results."""
    return tuple(sorted({path for path, approved in origins if not approved}))


def approved(origins: Origins) -> tuple[str, ...]:
    return tuple(sorted({path for path, _ in origins} - set(unapproved(origins))))
