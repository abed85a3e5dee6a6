"""Which outcomes of a run another one takes over: those that nothing depends on that is done anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.runtime.engine.activation import Recorded

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.engine.program import Program
    from polis.runtime.engine.stage import Stage

ASK = "ask"
"""The component that asks people."""
_ALL = ""
"""In place of an item: every item of the node."""
_PAGE = 500
MOST_ITEMS = 1_000
"""Failed items of a run that are told apart; where there are more, their nodes are done anew as a whole."""


_recorded = msgspec.json.Decoder(Recorded)


class Takeover(Struct, frozen=True):
    """What is not taken over: by node (with what is nested in it), an item with those that come from it; empty: all.

    undoable: paths of nodes that a compensation undoes. What another run did is not for this one to undo.
    """

    nodes: tuple[str, ...]
    items: tuple[str, ...]
    undoable: tuple[str, ...] = ()

    async def copy(self, tx: Transaction, *, source: UUID, target: UUID) -> None:
        await tx.execute(
            "insert into runtime.journal (org_id, run_id, node, item, body) select $1, $6, j.node, j.item, j.body"
            + _TAKEN
            + " and j.node <> all($5::text[])",
            tx.org_id,
            source,
            list(self.nodes),
            list(self.items),
            list(self.undoable),
            target,
        )
        if self.undoable:
            await self._copy_undoable(tx, source, target)

    async def _copy_undoable(self, tx: Transaction, source: UUID, target: UUID) -> None:
        """Without the number by which they would be undone."""
        last = ("", "")
        while True:
            rows = await tx.rows(
                _Outcome,
                "select j.node, j.item, j.body"
                + _TAKEN
                + " and j.node = any($5::text[]) and (j.node, j.item) > ($6, $7) order by j.node, j.item limit $8",
                tx.org_id,
                source,
                list(self.nodes),
                list(self.items),
                list(self.undoable),
                *last,
                _PAGE,
            )
            await tx.execute(
                """
                insert into runtime.journal (org_id, run_id, node, item, body)
                select $1, $2, node, item, body from unnest($3::text[], $4::text[], $5::bytea[]) as o (node, item, body)
                """,
                tx.org_id,
                target,
                [row.node for row in rows],
                [row.item for row in rows],
                [_kept(row.body) for row in rows],
            )
            if len(rows) < _PAGE:
                return
            last = (rows[-1].node, rows[-1].item)


class _Outcome(Struct, frozen=True):
    node: str
    item: str
    body: bytes


DEFERRED = """(j.node like '%/@missed' and position('"at_ms":'::bytea in j.body) > 0)"""
"""Of outcomes `j`: an attempt that has failed, with when the next one is due. Who begins anew does not wait for that."""

# How the run ended, and what undid its effects, is of that run alone.
_TAKEN = f"""
    from runtime.journal j
    where j.org_id = $1 and j.run_id = $2 and j.node not like '@%' and position('/@undo' in j.node) = 0 and not exists (
        select from unnest($3::text[], $4::text[]) as d (node, item)
        where d.node = split_part(j.node, '/', 1)
            and (d.item = '' or d.item = '-' or j.item = d.item or starts_with(j.item, d.item || '.'))
    ) and not {DEFERRED}
"""


def _kept(body: bytes) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(_recorded.decode(body), nth=0, inputs={}))


def of_step(program: Program, step: str, undone: Iterable[tuple[str, str]] = ()) -> Takeover:
    """All but the step and what lies behind it, and, on the way to it, what people were asked: an answer counts once."""
    start = next(stage for stage in program.stages if stage.name == step)
    anew = _behind(program, start)
    for stage in program.stages[: start.index]:
        if _asks(stage) and start.index in (behind := _behind(program, stage)):
            anew |= behind
    dropped = dict.fromkeys((stage.name, _ALL) for stage in program.stages if stage.index in anew)
    return _without(program, dropped | _depending(program, undone))


def of_failed(
    program: Program, failed: Iterable[tuple[str, str]], undone: Iterable[tuple[str, str]] = ()
) -> Takeover:
    """All but what failed, or was undone, and what came of it: that went by another way, or answers another question."""
    return _without(program, _depending(program, [*failed, *undone]))


def _without(program: Program, dropped: dict[tuple[str, str], None]) -> Takeover:
    return Takeover(
        tuple(node for node, _ in dropped),
        tuple(item for _, item in dropped),
        tuple(stage.path for stage in program.steps if stage.undo is not None),
    )


def _depending(program: Program, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], None]:
    """These items, and what may have come of them.

    An item's descendants begin with its name, up to a node that gathers or pairs: behind that, all depends on all.
    """
    by_name = {stage.name: stage for stage in program.stages}
    dropped: dict[tuple[str, str], None] = {}
    for node, item in places:
        top, _, nested = node.partition("/")
        for index, whole in _behind(program, by_name[top]).items():
            everything = whole or nested or item == _ALL
            dropped[program.stages[index].name, _ALL if everything else item] = None
    return dropped


def _behind(program: Program, start: Stage) -> dict[int, bool]:
    """The stage and all behind it; whether what is done there may depend on every item of the stage."""
    found = {start.index: False}
    for stage in program.stages[start.index + 1 :]:
        ways = [source for source in stage.sources if source in found]
        if ways:
            found[stage.index] = _gathers(stage) or any(found[source] for source in ways)
    return found


def _asks(stage: Stage) -> bool:
    """Whether a node asks people, itself or in the graph that it runs."""
    inner = stage.body.steps if stage.body is not None else ()
    return any(step.component.key == ASK for step in (stage, *inner))


def _gathers(stage: Stage) -> bool:
    """Whether the items of a node are named otherwise than after the messages that came."""
    return stage.collector is not None or stage.body is not None or stage.component.merge != "any"
