"""Answers to whoever wants an assistant: each step is done as the caller, and does no harm when it is done again."""

from __future__ import annotations

from uuid import UUID

import msgspec

from polis.graph import digest
from polis.proto import Refused, catalog, identity, runtime
from polis.proto.assistant import Assistant
from polis.proto.problems import Fault
from polis.proto.runtime import AssistantInvalid, AssistantNotFound, Installed
from polis.runtime.assistants.listening import listening
from polis.runtime.assistants.made import Content, for_agent, graph_of
from polis.runtime.own import Own
from polis.runtime.triggers.firing import told
from polis.service import Context, Handlers

handlers = Handlers()
ENVIRONMENT = "production"
_REFUSALS = (
    catalog.ContentInvalid,
    catalog.KeyTaken,
    catalog.RevisionConflict,
    catalog.ForeignResource,
    catalog.DependencyGone,
    catalog.BreaksGraphs,
    catalog.QuotaExceeded,
)


@handlers.handles(runtime.InstallAssistant)
async def install_assistant(request: runtime.InstallAssistant, ctx: Context[Own]) -> Installed:
    assistant = await _assistant(ctx, request.assistant)
    key = request.key or assistant.key
    content, faults = graph_of(assistant, request.settings)
    if faults:
        raise Refused(AssistantInvalid(faults=faults))
    agent = await _agent(ctx, assistant, key)
    graph = f"agent-{key}"
    try:
        version = await _active(ctx, graph, assistant.name, for_agent(content, agent.id))
    except Refused as refusal:
        if isinstance(refusal.problem, _REFUSALS):
            raise Refused(AssistantInvalid(faults=_why(refusal))) from None
        raise
    if content.get("triggers"):
        await listening(ctx.own.database, ctx.actor.org_id, version.resource_id, version.number)
    return Installed(agent.id, agent.key, version.resource_id, graph, version.number)


async def _assistant(ctx: Context[Own], key: str) -> Assistant:
    try:
        found = await ctx.call(catalog.ResolveResource(type="assistant", key=key, environment=ENVIRONMENT))
        return msgspec.convert(found.content, Assistant)
    except msgspec.ValidationError as error:
        raise Refused(AssistantInvalid(faults=(Fault("", str(error)),))) from None
    except Refused as refusal:
        if isinstance(refusal.problem, catalog.ResourceNotFound | catalog.NotActive):
            raise Refused(AssistantNotFound(assistant=key)) from None
        raise


async def _agent(ctx: Context[Own], assistant: Assistant, key: str) -> identity.Agent:
    """The org's agent of this key; a new one may do what the assistant needs and no more. Its secret is dropped here."""
    try:
        made = await ctx.call(identity.CreateAgent(key, assistant.name, scopes=assistant.scopes))
    except Refused as refusal:
        if isinstance(refusal.problem, identity.AgentKeyTaken):
            return await ctx.call(identity.GetAgent(agent=key))
        raise
    return made.agent


async def _active(ctx: Context[Own], key: str, name: str, content: Content) -> catalog.Version:
    """The version of the org's graph that says this, active from now on."""
    version = await _resolved(ctx, key)
    if version is None or version.digest != digest(content):
        resource_id = await _written(ctx, version, key, name, content)
        version = await ctx.call(catalog.PublishVersion(resource_id))
    await ctx.call(catalog.Activate(version.resource_id, ENVIRONMENT, version.number))
    return version


async def _resolved(ctx: Context[Own], key: str) -> catalog.Version | None:
    try:
        return await ctx.call(catalog.ResolveResource(type="graph", key=key, environment=ENVIRONMENT))
    except Refused as refusal:
        if isinstance(refusal.problem, catalog.ResourceNotFound | catalog.NotActive):
            return None
        raise


async def _written(
    ctx: Context[Own], version: catalog.Version | None, key: str, name: str, content: Content
) -> UUID:
    """The graph whose draft says this: a new one, the one that is active, or one that somebody began."""
    resource_id = None if version is None else version.resource_id
    if resource_id is None:
        try:
            return (await ctx.call(catalog.CreateResource("graph", key, content, name=name))).id
        except Refused as refusal:
            if not isinstance(refusal.problem, catalog.KeyTaken):
                raise
            resource_id = await _begun(ctx, key)
    draft = await ctx.call(catalog.GetDraft(resource_id))
    await ctx.call(catalog.PutDraft(resource_id, draft.revision, content))
    return resource_id


async def _begun(ctx: Context[Own], key: str) -> UUID:
    """A graph of the org that was written and never activated. Refused(KeyTaken) when the caller may not see it."""
    found = await ctx.call(catalog.SearchResources(text=key, type="graph"))
    for each in found.items:
        if each.key == key and each.org_id == ctx.actor.org_id:
            return each.id
    raise Refused(catalog.KeyTaken(resource_type="graph", key=key))


def _why(refusal: Refused) -> tuple[Fault, ...]:
    if isinstance(refusal.problem, catalog.ContentInvalid):
        return refusal.problem.faults
    return (Fault("/graph", told(refusal)),)
