"""Who uses whom, at which version: read from a content when it is published, so that nothing is deleted under its users."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.catalog.access import SYSTEM_ORG
from polis.catalog.resources import content
from polis.graph import pointer
from polis.proto import Refused
from polis.proto.catalog import Dependency, DependencyGone
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polis.catalog.access import Viewer
    from polis.db import Tenant, Transaction
    from polis.proto.catalog import Resource

USE = "$use"
"""A member of this name, anywhere in a content, names a resource: `{"$use": "graph/email-digest@3"}`, without `@` the active."""
_NAME = re.compile(r"([a-z]{1,20})/([a-z][a-z0-9._-]{0,119})(?:@([1-9][0-9]{0,8}))?")
_NAMED = 20
"""Users that a refusal names."""
MAX_USES = 1000
"""Resources that one version may use."""


class Use(Struct, frozen=True, order=True):
    """What a content names. `pinned` is a version's number, 0 for the one that is active."""

    type: str
    key: str
    pinned: int = 0

    def __str__(self) -> str:
        return f"{self.type}/{self.key}" + (f"@{self.pinned}" if self.pinned else "")


class Position(Struct, frozen=True):
    """Where a list of what a version uses continues."""

    resource_id: UUID
    number: int
    type: str = ""
    key: str = ""
    pinned: bool = False
    used_number: int = 0


class UserPosition(Struct, frozen=True):
    """Where a list of what uses a resource continues."""

    used_id: UUID
    key: str = ""
    resource_id: UUID = UUID(int=0)
    number: int = 0
    pinned: bool = False
    used_number: int = 0


class Users(Struct, frozen=True):
    """Whether anything uses a resource; named is what of it the viewer may see."""

    any: bool
    named: tuple[str, ...]


class _Found(Struct, frozen=True):
    n: int
    org_id: UUID
    id: UUID
    number: int


class _User(Struct, frozen=True):
    type: str
    key: str
    shown: bool


def named(kind: str, form: content.Canonical) -> dict[Use, str]:
    """What a content uses, and where it says so first. Refused(ContentInvalid)."""
    found: dict[Use, str] = {}
    faults: list[Fault] = []
    for use, where in _named(kind, form.content):
        if isinstance(use, Use):
            found.setdefault(use, where)
        else:
            faults.append(Fault(where, "a use is `type/key` or `type/key@version`"))
    if len(found) > MAX_USES:
        faults.append(Fault("", f"it uses {len(found)} resources; {MAX_USES} is the most"))
    if faults:
        raise content.invalid(faults)
    return found


def _named(kind: str, document: dict[str, object]) -> Iterator[tuple[Use | None, str]]:
    if kind == "graph":
        yield from _components((), document)
    if kind != "component":  # a component's schemas are its own business
        yield from _marked((), document)


def _components(path: tuple[str | int, ...], document: object) -> Iterator[tuple[Use, str]]:
    """The components of a graph's nodes, and of those of the graphs that are written in it."""
    nodes = document.get("nodes") if isinstance(document, dict) else None
    for name, node in nodes.items() if isinstance(nodes, dict) else ():
        at = (*path, "nodes", name)
        for place, named in ((at, node), ((*at, "compensate"), node.get("compensate"))):
            if isinstance(named, dict):
                yield Use("component", named["component"]), pointer(*place, "component")
                config = named.get("config")
                inner = config.get("graph") if isinstance(config, dict) else None
                yield from _components((*place, "config", "graph"), inner)


def _marked(path: tuple[str | int, ...], value: object) -> Iterator[tuple[Use | None, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == USE:
                yield _read(item), pointer(*path, name)
            else:
                yield from _marked((*path, name), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _marked((*path, index), item)


def _read(text: object) -> Use | None:
    match = _NAME.fullmatch(text) if isinstance(text, str) else None
    return None if match is None else Use(match[1], match[2], int(match[3] or 0))


async def record(
    tx: Transaction, viewer: Viewer, resource: Resource, number: int, form: content.Canonical
) -> None:
    """Keep what a version of a locked resource uses, and hold on to that. Refused(ContentInvalid) for what is not there."""
    wanted = named(resource.type, form)
    if not wanted:
        return
    uses = sorted(wanted)
    found = await _resolve(tx, viewer, uses)
    held = await _hold(tx, viewer.org_id, {row.id for row in found.values() if row.org_id == viewer.org_id})
    kept = {n for n, row in found.items() if row.org_id != viewer.org_id or row.id in held}
    missing = [use for n, use in enumerate(uses, 1) if n not in kept]
    if missing:
        raise content.invalid(
            Fault(wanted[use], f"there is no published `{use}` that its user may see") for use in missing
        )
    await _insert(tx, resource, number, [(use, found[n]) for n, use in enumerate(uses, 1)])


async def _resolve(tx: Transaction, viewer: Viewer, uses: list[Use]) -> dict[int, _Found]:
    """What each use comes to now: the org's own resource, else the mesh's."""
    rows = await tx.rows(
        _Found,
        """
        select distinct on (w.n) w.n::integer as n, r.org_id, r.id, v.number
        from unnest($5::text[], $6::text[], $7::integer[]) with ordinality as w (type, key, pinned, n)
        cross join lateral (
            select r.org_id, r.id, r.latest from catalog.resources r
            where r.org_id in ($1, $2) and r.type = w.type and r.key = w.key
                and (r.org_id = $1 or r.visibility = 'public')
                and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text) offset 0
        ) r
        left join catalog.activations a
            on a.org_id = r.org_id and a.resource_id = r.id and a.environment = $8
        join catalog.versions v on v.org_id = r.org_id and v.resource_id = r.id
            and v.number = case when w.pinned > 0 then w.pinned else coalesce(a.number, r.latest) end
        order by w.n, r.org_id = $1 desc
        """,
        viewer.org_id,
        SYSTEM_ORG,
        viewer.principal_id,
        viewer.opens,
        [use.type for use in uses],
        [use.key for use in uses],
        [use.pinned for use in uses],
        content.COMPONENTS_FROM,
    )
    return {row.n: row for row in rows}


async def _hold(tx: Transaction, org_id: UUID, ids: Iterable[UUID]) -> set[UUID]:
    """Keep resources of the org from being deleted until the transaction ends; those that were there to be kept."""
    kept = await tx.rows(
        UUID,
        """
        select r.id from catalog.resources r where r.org_id = $1 and r.id = any($2::uuid[])
        order by r.id for key share
        """,
        org_id,
        sorted(ids),
    )
    return set(kept)


async def _insert(tx: Transaction, resource: Resource, number: int, uses: list[tuple[Use, _Found]]) -> None:
    await tx.execute(
        """
        insert into catalog.uses (org_id, resource_id, visibility, number, used_type, used_key, pinned, used_org_id,
            used_id, used_number)
        select $1, $2, $3, $4, u.type, u.key, u.pinned, u.org_id, u.id, u.number
        from unnest($5::text[], $6::text[], $7::integer[], $8::uuid[], $9::uuid[], $10::integer[])
            as u (type, key, pinned, org_id, id, number)
        on conflict do nothing
        """,
        resource.org_id,
        resource.id,
        resource.visibility,
        number,
        [use.type for use, _ in uses],
        [use.key for use, _ in uses],
        [use.pinned for use, _ in uses],
        [row.org_id for _, row in uses],
        [row.id for _, row in uses],
        [row.number for _, row in uses],
    )


async def demand_used(tx: Transaction, resource: Resource, number: int) -> None:
    """Hold on to what a version of the org uses. Refused(DependencyGone) when some of it was deleted since."""
    used = await tx.rows(
        UUID,
        """
        select u.used_id from catalog.uses u
        where u.org_id = $1 and u.resource_id = $2 and u.number = $3 and u.used_org_id = $1
        order by u.used_id
        """,
        resource.org_id,
        resource.id,
        number,
    )
    if used:
        await _hold(tx, resource.org_id, used)
    gone = await tx.rows(
        str,
        """
        select u.used_type || '/' || u.used_key from catalog.uses u
        where u.org_id = $1 and u.resource_id = $2 and u.number = $3 and not exists (
            select from catalog.resources r
            where r.org_id in ($1, $4) and r.type = u.used_type and r.key = u.used_key
        )
        order by u.used_type, u.used_key limit $5
        """,
        resource.org_id,
        resource.id,
        number,
        SYSTEM_ORG,
        _NAMED,
    )
    if gone:
        raise Refused(DependencyGone(used=tuple(gone)))


async def users(
    tx: Transaction,
    viewer: Viewer,
    resource: Resource,
    environment: str | None = None,
    *,
    without: Iterable[UUID] = (),
) -> Users:
    """What else uses a resource by its latest version or an active one; in one environment: by what is active there."""
    rows = await tx.rows(
        _User,
        """
        select r.type, r.key, bool_or(coalesce(
            r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text, false)) as shown
        from catalog.uses u
        join catalog.resources r on r.org_id = u.org_id and r.id = u.resource_id
        left join catalog.activations a on a.org_id = u.org_id and a.resource_id = u.resource_id
            and a.number = u.number and ($5::text is null or a.environment = $5)
        where u.org_id = $1 and u.used_id = $2 and u.resource_id <> all($7::uuid[])
            and (a.number is not null or ($5::text is null and u.number = r.latest))
        group by r.type, r.key
        order by r.type, r.key limit $6
        """,
        viewer.org_id,
        resource.id,
        viewer.principal_id,
        viewer.opens,
        environment,
        _NAMED,
        [resource.id, *without],
    )
    return Users(bool(rows), tuple(f"{row.type}/{row.key}" for row in rows if row.shown))


async def of_version(db: Tenant, resource: Resource, after: Position, limit: int) -> list[Dependency]:
    """Up to `limit` of what a version uses, by type and key."""
    return await db.rows(
        Dependency,
        """
        select u.resource_id, r.type, r.key, u.number, u.used_id, u.used_type, u.used_key, u.used_number,
            u.pinned > 0 as pinned
        from catalog.uses u
        join catalog.resources r on r.org_id = u.org_id and r.id = u.resource_id
        where u.org_id = $1 and u.resource_id = $2 and u.number = $3
            and (u.used_type, u.used_key, u.pinned > 0, u.used_number) > ($4, $5, $6, $7)
        order by u.used_type, u.used_key, u.pinned > 0, u.used_number limit $8
        """,
        resource.org_id,
        resource.id,
        after.number,
        after.type,
        after.key,
        after.pinned,
        after.used_number,
        limit,
    )


async def of_users(db: Tenant, viewer: Viewer, after: UserPosition, limit: int) -> list[Dependency]:
    """Up to `limit` of the org's versions that use a resource and are in use themselves, by key."""
    return await db.rows(
        Dependency,
        """
        select u.resource_id, r.type, r.key, u.number, u.used_id, u.used_type, u.used_key, u.used_number,
            u.pinned > 0 as pinned
        from catalog.uses u
        join catalog.resources r on r.org_id = u.org_id and r.id = u.resource_id
        where u.org_id = $1 and u.used_id = $2 and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text)
            and (u.number = r.latest or (
                select true from catalog.activations a
                where a.org_id = u.org_id and a.resource_id = u.resource_id and a.number = u.number limit 1
            ))
            and (r.key, u.resource_id, u.number, u.pinned > 0, u.used_number) > ($5, $6, $7, $8, $9)
        order by r.key, u.resource_id, u.number, u.pinned > 0, u.used_number limit $10
        """,
        viewer.org_id,
        after.used_id,
        viewer.principal_id,
        viewer.opens,
        after.key,
        after.resource_id,
        after.number,
        after.pinned,
        after.used_number,
        limit,
    )
