"""Which operation answers at a method and path: one look-up per segment, literal segments before parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from polis.proto import Refused
from polis.proto.problems import MethodNotAllowed, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.proto import Operation

PREFIX = "/api/v1"
LIVE = PREFIX + "/live"
"""Answered beside the operations: it is no request with one answer."""


class _Node:
    __slots__ = ("literals", "operations", "parameter")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.operations: dict[str, tuple[Operation, tuple[str, ...], dict[str, str]]] = {}


class Routes:
    """All routes of the contract, below PREFIX, and other paths to the same operations, which stand beside it."""

    def __init__(
        self,
        operations: Iterable[Operation],
        others: Iterable[tuple[str, str, Operation, dict[str, str]]] = (),
    ) -> None:
        self._root = _Node()
        self._others = _Node()
        self._plain: dict[tuple[str, str], tuple[Operation, dict[str, str]]] = {}
        for operation in operations:
            if operation.path is not None:
                self._add(self._root, operation.verb or "", PREFIX + operation.path, operation, {})
        for verb, path, operation, fixed in others:
            self._add(self._others, verb, path, operation, fixed)

    def match(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """The operation, and its fields that the path tells. Refused(NotFound) or Refused(MethodNotAllowed)."""
        plain = self._plain.get((method, path))
        if plain is not None:
            return plain
        below = path.startswith(PREFIX + "/")
        root, path = (self._root, path[len(PREFIX) :]) if below else (self._others, path)
        found = self._find(root, path.split("/")[1:], 0, [])
        if found is None:
            raise Refused(NotFound())
        node, values = found
        try:
            operation, names, fixed = node.operations[method]
        except KeyError:
            head = {"HEAD"} if "GET" in node.operations else set()
            raise Refused(MethodNotAllowed(allowed=tuple(sorted({*node.operations, *head})))) from None
        return operation, fixed | dict(zip(names, map(unquote, values), strict=True))

    def _add(self, node: _Node, verb: str, path: str, operation: Operation, fixed: dict[str, str]) -> None:
        names = []
        below = path.removeprefix(PREFIX) if node is self._root else path
        for segment in below.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.operations[verb] = (operation, tuple(names), fixed)
        if not names:
            self._plain[verb, path] = operation, fixed

    def _find(
        self, node: _Node, segments: list[str], at: int, values: list[str]
    ) -> tuple[_Node, list[str]] | None:
        if at == len(segments):
            return (node, values) if node.operations else None
        literal = node.literals.get(segments[at])
        if literal is not None and (found := self._find(literal, segments, at + 1, values)):
            return found
        if node.parameter is not None and segments[at]:
            return self._find(node.parameter, segments, at + 1, [*values, segments[at]])
        return None
