"""What a request to start a run names, found at its owners: the graph and its components, the agent, and a fitting input."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.graph import MAX_DEPTH, GraphFaults, GraphUse, compiled, component_keys, graph_uses, pointer
from polis.proto import Refused, catalog, identity, runtime
from polis.proto.graph import Component, Graph
from polis.proto.problems import Fault, Forbidden
from polis.runtime.runs.remembered import Changes, Remembered
from polis.runtime.shell.programs import Bound, Resolved, ResolvedGraph

if TYPE_CHECKING:
    from polis.runtime.shell.programs import Programs
    from polis.service import Actor, Context

_MANAGES, _STARTS = "identity:agents", "runtime:run"
COMPONENTS_FROM = "production"
"""The environment whose components graphs are made of; the catalog checks them against the same one."""
_AT_ONCE = 16


class Components:
    """Components as the catalog resolved them for a caller."""

    def __init__(self, changes: Changes) -> None:
        self._known: Remembered[Resolved] = Remembered(changes)

    async def of(self, ctx: Context[Any], keys: Iterable[str]) -> dict[str, Resolved]:
        """Those of the keys that there are."""
        known = {key: self._known.get(ctx.actor, key) for key in keys}
        missing = [key for key, found in known.items() if found is None]
        begun = self._known.begin(ctx.actor)
        slots = asyncio.Semaphore(_AT_ONCE)
        found_now = await asyncio.gather(*(_component(ctx, key, slots) for key in missing))
        for key, resolved in zip(missing, found_now, strict=True):
            # One that is missing may be published at any moment, so only what was found is kept.
            if resolved is not None:
                known[key] = resolved
                self._known.keep(ctx.actor, key, resolved, begun)
        return {key: found for key, found in known.items() if found is not None}


class Active(Struct, frozen=True):
    """The version of a graph that is active, and what its runs execute."""

    digest: str
    bound: Bound


class Graphs:
    """Graphs as the catalog resolved them for a caller."""

    def __init__(self, changes: Changes, programs: Programs) -> None:
        self._known: Remembered[Active] = Remembered(changes)
        self._components = Components(changes)
        self._programs = programs

    async def active(
        self, ctx: Context[Any], key: str, environment: str, number: int | None = None
    ) -> Active:
        """The active version, or the one of a number, compiled. Refused(GraphNotFound), or Refused(GraphInvalid) with every fault."""
        name = (key, environment, number)
        known = self._known.get(ctx.actor, name)
        if known is None:
            begun = self._known.begin(ctx.actor)
            version = await graph_version(ctx, key, environment, number)
            known = Active(version.digest, await bound(ctx, version, self._components, self._programs))
            self._known.keep(ctx.actor, name, known, begun)
        return known


async def graph_version(
    ctx: Context[Any], key: str, environment: str, number: int | None = None
) -> catalog.Version:
    """The version of a graph that is active, or the one of a number. Refused(GraphNotFound)."""
    request = catalog.ResolveResource(type="graph", key=key, environment=environment, number=number)
    try:
        return await ctx.call(request)
    except Refused as refusal:
        if isinstance(refusal.problem, catalog.ResourceNotFound | catalog.NotActive):
            raise Refused(runtime.GraphNotFound(graph=key)) from None
        raise


async def bound(
    ctx: Context[Any], version: catalog.Version, components: Components, programs: Programs
) -> Bound:
    """What a run of this version executes. Refused(GraphInvalid) with every fault."""
    try:
        graph = msgspec.convert(version.content, Graph)
        inner = await _inner(ctx, graph)
        graphs = (graph, *(each.graph for each in inner.values()))
        found = await components.of(ctx, {key for each in graphs for key in component_keys(each)})
        return await programs.of(version.digest, graph, found, inner)
    except msgspec.ValidationError as error:
        raise Refused(runtime.GraphInvalid(faults=(Fault("", str(error)),))) from None
    except GraphFaults as error:
        raise Refused(runtime.GraphInvalid(faults=error.faults)) from None


async def _inner(ctx: Context[Any], graph: Graph) -> dict[GraphUse, ResolvedGraph]:
    """The graphs that a graph names, and those that these name, as far as there are any: a run is pinned to them."""
    found: dict[GraphUse, ResolvedGraph] = {}
    wanted = set(graph_uses(graph))
    for _ in range(MAX_DEPTH):
        missing = sorted(wanted - found.keys())
        slots = asyncio.Semaphore(_AT_ONCE)
        versions = await asyncio.gather(*(_version(ctx, "graph", use, slots) for use in missing))
        new = {
            use: ResolvedGraph(version.digest, msgspec.convert(version.content, Graph))
            for use, version in zip(missing, versions, strict=True)
            if version is not None
        }
        found |= new
        wanted = {use for each in new.values() for use in graph_uses(each.graph)}
    return found


def check_scopes(actor: Actor, scopes: Iterable[str]) -> None:
    """Refused(Forbidden) unless the caller may do itself what the graph's components do.

    A run gets tokens for these scopes alone, as whom it acts as, and identity gives that one no more than it has: a run
    does what both may.
    """
    for scope in scopes:
        actor.demand(scope)


async def actor_id(ctx: Context[Any], agent: str | None) -> UUID:
    """Who a run acts as: the agent that is named, unless it is suspended, else the caller.

    Refused(AgentUnknown), or Forbidden for whom the agent does not work.
    """
    if agent is None:
        return ctx.actor.principal_id
    found = await agent_named(ctx, agent)
    if found.suspended_at is not None:
        raise Refused(runtime.AgentUnknown(agent=agent))
    await _demand_agent(ctx, found)
    return found.id


async def agent_named(ctx: Context[Any], agent: str) -> identity.Agent:
    """An agent of the org by id or key. Refused(AgentUnknown)."""
    try:
        return await ctx.call(identity.GetAgent(agent=agent))
    except Refused as refusal:
        if isinstance(refusal.problem, identity.AgentNotFound):
            raise Refused(runtime.AgentUnknown(agent=agent)) from None
        raise


async def demand_actor(ctx: Context[Any], run: runtime.Run) -> None:
    """Refused unless the caller may have a run act as this one does: what it does for that one goes on by the caller's word."""
    if run.actor_id == ctx.actor.principal_id:
        return
    if run.actor_id == run.started_by:
        raise Refused(Forbidden(scope=_STARTS), "the run acts as somebody else")
    await actor_id(ctx, str(run.actor_id))


async def _demand_agent(ctx: Context[Any], agent: identity.Agent) -> None:
    """Refused(Forbidden) unless the caller may have runs act as this agent.

    Who manages agents has their credentials for the asking; anybody else is told by ownership or a grant.
    """
    actor = ctx.actor
    if agent.id == actor.principal_id or _MANAGES in actor.scopes:
        return
    question = identity.CheckAccess(
        org_id=actor.org_id,
        principal_id=actor.principal_id,
        verb=_STARTS,
        resource=f"agent/{agent.key}",
        owner_id=agent.created_by,
        scopes=tuple(sorted(actor.scopes)),
    )
    decision = await ctx.call(question, as_service=True)
    if decision.outcome != "allowed":
        raise Refused(Forbidden(scope=_STARTS), f"no grant of it on {question.resource}")


def check_input(graph: Graph, given: Mapping[str, object]) -> None:
    """Refused(InputInvalid) with everything that does not fit what the graph starts with."""
    faults = input_faults(graph, given)
    if faults:
        raise Refused(runtime.InputInvalid(faults=faults))


def input_faults(graph: Graph, given: Mapping[str, object]) -> tuple[Fault, ...]:
    """Everything that does not fit what the graph starts with."""
    faults = [
        Fault(pointer("input", name), "the graph has no such input")
        for name in given.keys() - graph.inputs.keys()
    ]
    for name, entry in graph.inputs.items():
        if name in given:
            faults += compiled(entry.schema).faults(given[name], "input", name)
        elif entry.required and entry.default is None:
            faults.append(Fault(pointer("input", name), "required"))
    return tuple(faults)


async def _component(ctx: Context[Any], key: str, slots: asyncio.Semaphore) -> Resolved | None:
    version = await _version(ctx, "component", GraphUse(key, 0, COMPONENTS_FROM), slots)
    return None if version is None else Resolved(version.digest, msgspec.convert(version.content, Component))


async def _version(
    ctx: Context[Any], kind: catalog.ResourceType, use: GraphUse, slots: asyncio.Semaphore
) -> catalog.Version | None:
    request = catalog.ResolveResource(
        type=kind, key=use.key, environment=use.environment, number=use.number or None
    )
    async with slots:
        try:
            return await ctx.call(request)
        except Refused as refusal:
            if isinstance(refusal.problem, catalog.ResourceNotFound | catalog.NotActive):
                return None
            raise
