"""Which outcomes of a run another one takes over: those that nothing depends on that is done anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.engine.program import Program
    from polis.runtime.engine.stage import Stage

ASK = "ask"
"""The component that asks people."""
_ALL = ""
"""In place of an item: every item of the node."""
MOST_ITEMS = 1_000
"""Failed items of a run that are told apart; where there are more, their nodes are done anew as a whole."""


class Takeover(Struct, frozen=True):
    """What is not taken over: by node (with what is nested in it), an item with those that come from it; empty: all."""

    nodes: tuple[str, ...]
    items: tuple[str, ...]

    async def copy(self, tx: Transaction, *, source: UUID, target: UUID) -> None:
        await tx.execute(
            """
            insert into runtime.journal (org_id, run_id, node, item, body)
            select $1, $3, j.node, j.item, j.body from runtime.journal j
            where j.org_id = $1 and j.run_id = $2 and j.node <> '@end' and j.node !~ '/@undo(/|$)' and not exists (
                select from runtime.journal u
                where u.org_id = $1 and u.run_id = $2 and u.node = j.node || '/@undo' and u.item = j.item
            ) and not exists (
                select from unnest($4::text[], $5::text[]) as d (node, item)
                where d.node = split_part(j.node, '/', 1)
                    and (d.item = '' or d.item = '-' or j.item = d.item or starts_with(j.item, d.item || '.'))
            )
            """,
            tx.org_id,
            source,
            target,
            list(self.nodes),
            list(self.items),
        )


def of_step(program: Program, step: str) -> Takeover:
    """All but the step and what lies behind it, and, on the way to it, what people were asked: an answer counts once."""
    start = next(stage for stage in program.stages if stage.name == step)
    anew = _behind(program, start)
    for stage in program.stages[: start.index]:
        if _asks(stage) and start.index in (behind := _behind(program, stage)):
            anew |= behind
    names = [stage.name for stage in program.stages if stage.index in anew]
    return Takeover(tuple(names), (_ALL,) * len(names))


def of_failed(program: Program, failed: Iterable[tuple[str, str]]) -> Takeover:
    """All but what failed and what came of it: where that went by another way, its outcomes answer another question.

    An item's descendants begin with its name, up to a node that gathers or pairs: behind that, all depends on all.
    """
    by_name = {stage.name: stage for stage in program.stages}
    dropped: dict[tuple[str, str], None] = {}
    for node, item in failed:
        top, _, nested = node.partition("/")
        start = by_name[top]
        for index, whole in _behind(program, start).items():
            everything = whole or nested or item == _ALL
            dropped[program.stages[index].name, _ALL if everything else item] = None
    return Takeover(tuple(node for node, _ in dropped), tuple(item for _, item in dropped))


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
