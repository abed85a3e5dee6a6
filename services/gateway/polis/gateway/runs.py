"""Runs in the words of older clients: another body, and an answer that says where the run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.gateway.incoming import read
from polis.proto import Request
from polis.proto.catalog import Environment, ResourceKey
from polis.proto.contract import operation_of
from polis.proto.identity import AgentRef
from polis.proto.runtime import GraphInputs, Run, StartRun
from polis.service import call

if TYPE_CHECKING:
    from polis.gateway.http import Exchange
    from polis.proto import Operation
    from polis.service import Actor, Caller


class RunByName(Request[Run], frozen=True):
    """StartRun in the words of older clients: who is asked by name is a graph, and an agent acts."""

    graph: ResourceKey
    payload: GraphInputs = {}  # noqa: RUF012 - msgspec copies it
    npc: AgentRef | None = None
    environment: Environment = "production"


RUN_BY_NAME = msgspec.structs.replace(operation_of(StartRun), request=RunByName, local=True)


class Runs:
    """Answers RunByName."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def start(
        self, exchange: Exchange, operation: Operation, path: dict[str, str], actor: Actor
    ) -> None:
        """Accepted: the run goes on behind the answer, at its Location."""
        asked = await read(exchange, operation, path)
        assert isinstance(asked, RunByName)  # noqa: S101 - read() decodes what the operation declares
        run = await self._caller.call(
            StartRun(graph=asked.graph, input=asked.payload, agent=asked.npc, environment=asked.environment),
            token=actor.token,
            org=str(actor.org_id),
            idempotency_key=exchange.header(b"idempotency-key"),
        )
        exchange.extra.append((b"location", f"/api/v1/runs/{run.id}".encode()))
        await exchange.answer(202, call.encode_answer(run))
