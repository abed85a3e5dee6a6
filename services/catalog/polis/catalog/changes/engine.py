"""Makes changes of several resources in one transaction: all of them, or a refusal and none.

Components come first, because graphs are checked against those that are active; what is used is looked up when everything
is published; what ends comes last. Nobody waits for each other: an org's sets are made one after another, since what a set
uses is known only while it is made; and towards single requests resources are locked in the order of their ids.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from polis import graph
from polis.catalog.changes import state
from polis.catalog.resources import content, life
from polis.catalog.resources import rows as resources
from polis.catalog.signatures import bring
from polis.catalog.versions import activations, breaking, uses
from polis.catalog.versions import rows as versions
from polis.db import new_id
from polis.proto import Refused
from polis.proto.catalog import InUse, PlannedStep, Resource, ResourceNotFound
from polis.proto.names import TITLE
from polis.proto.problems import Fault, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from polis.catalog.access import Viewer
    from polis.catalog.resources.content import Canonical
    from polis.db import Transaction
    from polis.javascript import Pool
    from polis.proto.catalog import Change, Effect

Name = tuple[str, str]
"""Type and key of a resource."""
State = list["Change"]
_TITLE = re.compile(TITLE)
"""A change tells also what was, so its type binds its name less."""


class Made:
    """What making changes came to. `before`, `after`: the state of every resource touched, None where there was none.

    `ids`: of those that there were before.
    """

    def __init__(
        self,
        steps: list[PlannedStep],
        before: dict[Name, State | None],
        after: dict[Name, str | None],
        ids: dict[Name, UUID],
    ) -> None:
        self.steps = steps
        self.before = before
        self.after = after
        self.ids = ids


def faults(changes: Sequence[Change]) -> list[Fault]:
    """What is wrong with changes, whatever they are made to."""
    found = []
    for n, change in enumerate(changes):
        needs = change.action in ("activate", "deactivate")
        if needs != (change.environment is not None):
            wrong = "is missing" if needs else f"means nothing to `{change.action}`"
            found.append(Fault(f"/changes/{n}/environment", f"it {wrong}"))
        if change.content is not None and (
            change.action in ("sign", "deactivate", "remove") or change.number is not None
        ):
            found.append(Fault(f"/changes/{n}/content", "an action takes a content or a number, or neither"))
        if change.number is not None and change.action != "activate":
            found.append(Fault(f"/changes/{n}/number", f"it means nothing to `{change.action}`"))
        if change.name is not None and not _TITLE.search(change.name):
            found.append(Fault(f"/changes/{n}/name", "it shows nothing, or has control characters"))
        found += _unsigned(n, change)
    return found


def _unsigned(n: int, change: Change) -> list[Fault]:
    """What a signature lacks, or something else has of one."""
    needs = change.action == "sign"
    wrong = "is missing" if needs else f"means nothing to `{change.action}`"
    return [
        Fault(f"/changes/{n}/{field}", f"it {wrong}")
        for field in ("digest", "public_key", "signature")
        if needs != (getattr(change, field) is not None)
    ]


async def make(
    tx: Transaction, viewer: Viewer, changes: Sequence[Change], scripts: Pool, *, by: UUID, at: datetime
) -> Made:
    """Make all changes, in the viewer's org and with its rights; refused as each of them alone would be."""
    work = _Work(tx, viewer, by, at)
    work.scripts = scripts
    names: list[Name] = sorted({(change.type, change.key) for change in changes})
    await work.lock(names)
    await work.lock_whole(changes)
    before = await work.states(names)
    ids = {name: resource.id for name, resource in work.known.items()}
    async with breaking.unbroken(tx, viewer, _served(changes), scripts):
        steps = [
            step
            for _, step in sorted([(n, await work.make(changes[n])) for n in _order(changes)], key=_first)
        ]
        await work.conclude()
    after = {
        name: None if now is None else state.digest(now) for name, now in (await work.states(names)).items()
    }
    return Made(steps, before, after, ids)


async def look(
    tx: Transaction, viewer: Viewer, names: list[Name], *, by: UUID, at: datetime
) -> tuple[dict[Name, State | None], dict[Name, UUID]]:
    """How resources are, locked until the transaction ends, None where there is none; and the ids of those there are."""
    work = _Work(tx, viewer, by, at)
    await work.lock(names)
    return await work.states(names), {name: resource.id for name, resource in work.known.items()}


def _served(changes: Sequence[Change]) -> list[str]:
    """The components whose version changes that graphs are run with."""
    return sorted(
        {
            change.key
            for change in changes
            if (change.action, change.type) == ("activate", "component")
            and change.environment == content.COMPONENTS_FROM
        }
    )


def _first(pair: tuple[int, PlannedStep]) -> int:
    return pair[0]


def _order(changes: Sequence[Change]) -> list[int]:
    """Indexes of the changes in the order in which they are made.

    Those of one kind by type and key: two sets that create the same resources meet at the first, and do not wait for each other.
    """
    phases = {"put": 0, "activate": 1, "sign": 2, "deactivate": 3, "remove": 4}

    def phase(n: int) -> tuple[int, int, str, str]:
        change = changes[n]
        making = change.action in ("put", "activate")
        first = making and change.type == "component"
        return (0 if first else 1, phases[change.action], change.type, change.key)

    return sorted(range(len(changes)), key=phase)


class _Work:
    """The transaction, and the resources as they are by now. scripts: for what makes changes, where they are tried."""

    scripts: Pool

    def __init__(self, tx: Transaction, viewer: Viewer, by: UUID, at: datetime) -> None:
        self.tx = tx
        self.viewer = viewer
        self.by = by
        self.at = at
        self.known: dict[Name, Resource] = {}
        self.published: list[tuple[Name, int, Canonical]] = []
        self.cleared: list[tuple[Name, str]] = []

    async def lock(self, names: list[Name]) -> None:
        await self.tx.execute(
            "select pg_advisory_xact_lock(hashtextextended('catalog.change_sets ' || $1::text, 0))",
            str(self.viewer.org_id),
        )
        for resource in await resources.lock_named(self.tx, self.viewer, names):
            self.known[resource.type, resource.key] = resource

    async def lock_whole(self, changes: Sequence[Change]) -> None:
        """What ends, or is shown to others than before: both need that nobody holds on to it, so all of it at once."""
        wholly = {
            known.id: known
            for change in changes
            if (known := self.known.get((change.type, change.key))) is not None
            and (
                change.action in ("deactivate", "remove") or change.visibility not in (None, known.visibility)
            )
        }
        await resources.lock_whole(self.tx, *wholly.values())

    async def states(self, names: list[Name]) -> dict[Name, State | None]:
        there = [self.known[name] for name in names if name in self.known]
        found: dict[Name, State] = {
            (r.type, r.key): now for r, now in zip(there, await self._states(there), strict=True)
        }
        return {name: found.get(name) for name in names}

    async def _states(self, there: list[Resource]) -> list[State]:
        return await state.states(self.tx, self.viewer.org_id, there)

    async def make(self, change: Change) -> PlannedStep:
        with _naming(change.type, change.key):
            return await self._made(change)

    async def _made(self, change: Change) -> PlannedStep:
        match change.action:
            case "put":
                return await self._put(change)
            case "activate":
                return await self._activate(change)
            case "sign":
                return await bring.brought(self.tx, self._of(change), change, at=self.at)
            case "deactivate":
                return await self._deactivate(change)
            case "remove":
                return await self._remove(change)

    def _of(self, change: Change) -> Resource:
        found = self.known.get((change.type, change.key))
        if found is None:
            raise Refused(ResourceNotFound(resource=f"{change.type}/{change.key}"))
        return found

    def _now(self, resource: Resource) -> Resource:
        self.known[resource.type, resource.key] = resource
        return resource

    async def _checked(self, change: Change, given: dict[str, object]) -> Canonical:
        form = await content.written(change.type, given)
        await content.check(self.tx, self.viewer, change.type, change.key, form, scripts=self.scripts)
        return form

    async def _put(self, change: Change) -> PlannedStep:
        known = self.known.get((change.type, change.key))
        if known is None:
            return await self._create(change)
        found = 0
        resource = known
        if change.content is not None:
            form = await self._checked(change, change.content)
            old = content.stored(await resources.drafted(self.tx, resource))
            found = len(graph.differences(old.content, form.content)) if old.digest != form.digest else 0
            revision = await resources.put_draft(self.tx, resource, form.text, at=self.at)
            resource = msgspec.structs.replace(resource, revision=revision)
        resource = self._now(await self._describe(change, resource))
        fields = tuple(
            field
            for field in ("name", "visibility", "tags", "status", "deprecation")
            if getattr(known, field) != getattr(resource, field)
        )
        effect: Effect = "change" if found or fields else "none"
        return PlannedStep("put", change.type, change.key, effect, fields=fields, differences=found)

    async def _describe(self, change: Change, resource: Resource) -> Resource:
        resource = await life.describe(
            self.tx,
            self.viewer,
            resource,
            name=change.name,
            visibility=change.visibility,
            given=change.tags,
            at=self.at,
        )
        if change.deprecated is True:
            return await life.deprecate(self.tx, resource, change.deprecation, by=self.by, at=self.at)
        if change.deprecated is False:
            return await life.reinstate(self.tx, resource, at=self.at)
        return resource

    async def _create(self, change: Change) -> PlannedStep:
        if change.content is None:
            raise Refused(ResourceNotFound(resource=f"{change.type}/{change.key}"))
        visibility = change.visibility or "org"
        self.viewer.demand_visibility(visibility)
        form = await self._checked(change, change.content)
        made = Resource(
            id=new_id(),
            org_id=self.viewer.org_id,
            type=change.type,
            key=change.key,
            name=change.name or change.key,
            visibility=visibility,
            revision=1,
            latest=None,
            created_by=self.by,
            created_at=self.at,
            updated_at=self.at,
            tags=life.tags(change.tags or ()),
        )
        resource = await resources.create(self.tx, resources.New(made, form.text))
        if change.deprecated:
            resource = await life.deprecate(self.tx, resource, change.deprecation, by=self.by, at=self.at)
        self._now(resource)
        return PlannedStep("put", change.type, change.key, "create")

    async def _activate(self, change: Change) -> PlannedStep:
        resource = self._of(change)
        environment = _environment(change)
        number = change.number or await self._number(change, resource)
        previous = await activations.number(self.tx, resource, environment)
        await activations.activate(
            self.tx,
            self.known[change.type, change.key],
            environment,
            number,
            by=self.by,
            at=self.at,
            scopes=self.viewer.scopes,
        )
        effect: Effect = "none" if previous == number else "create" if previous is None else "change"
        return PlannedStep(
            "activate", change.type, change.key, effect, environment, previous=previous, number=number
        )

    async def _number(self, change: Change, resource: Resource) -> int:
        """The version with this content, or with that of the draft: a new one when there is none yet."""
        if change.content is None:
            form = content.stored(await resources.drafted(self.tx, resource))
            await content.check(self.tx, self.viewer, change.type, change.key, form, scripts=self.scripts)
        else:
            form = await self._checked(change, change.content)
        number = await versions.number_of(self.tx, resource, form.digest)
        if number is None:
            version = await versions.publish(
                self.tx, resource, form, changelog=change.changelog, by=self.by, at=self.at
            )
            number = version.number
            status = "published" if resource.status == "draft" else resource.status
            self._now(msgspec.structs.replace(resource, latest=number, status=status))
        self.published.append(((change.type, change.key), number, form))
        return number

    async def _deactivate(self, change: Change) -> PlannedStep:
        resource = self._of(change)
        environment = _environment(change)
        previous = await activations.number(self.tx, resource, environment)
        if previous is not None:
            await activations.clear(self.tx, resource, environment, by=self.by, at=self.at)
            self.cleared.append(((change.type, change.key), environment))
        effect: Effect = "none" if previous is None else "delete"
        return PlannedStep("deactivate", change.type, change.key, effect, environment, previous=previous)

    async def _remove(self, change: Change) -> PlannedStep:
        """Deactivated here, deleted in the end: something that still uses it may be removed after it."""
        resource = self._of(change)
        for environment in await activations.environments(self.tx, resource):
            await activations.clear(self.tx, resource, environment, by=self.by, at=self.at)
        self.cleared.append(((change.type, change.key), ""))
        return PlannedStep("remove", change.type, change.key, "delete", previous=resource.latest)

    async def conclude(self) -> None:
        """Look up what is used, and see that nothing that ended is: users may have changed in the same set."""
        removed = [name for name, environment in self.cleared if not environment]
        for name, number, form in self.published:
            if name not in removed:
                with _naming(*name):
                    await uses.record(self.tx, self.viewer, self.known[name], number, form)
        for name, environment in self.cleared:
            if environment and name not in removed:
                with _naming(*name):
                    await self._demand_unused(name, environment)
        ids = [self.known[name].id for name in removed]
        for name in removed:
            with _naming(*name):
                await life.delete(self.tx, self.viewer, self.known.pop(name), along_with=ids)

    async def _demand_unused(self, name: Name, environment: str) -> None:
        users = await uses.users(self.tx, self.viewer, self.known[name], environment)
        if users.any:
            raise Refused(InUse(users=users.named, environments=(environment,)))


@contextmanager
def _naming(kind: str, key: str) -> Iterator[None]:
    """Say of a refusal which resource it is about: a set has many."""
    try:
        yield
    except Refused as refusal:
        about = f"{kind}/{key}"
        raise Refused(refusal.problem, f"{about}: {refusal.detail}" if refusal.detail else about) from refusal


def _environment(change: Change) -> str:
    if change.environment is None:
        raise Refused(Invalid(faults=(Fault("/environment", "it is missing"),)))
    return change.environment
