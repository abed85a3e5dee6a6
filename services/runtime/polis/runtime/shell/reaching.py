"""What carries out what steps reach for: calls as whom the run acts as, leases of secrets, uploads, events, egress."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID, uuid5

import msgspec

from polis.javascript import Pool
from polis.proto import Refused, catalog, identity, runtime
from polis.proto.names import FILE, HIDING
from polis.proto.problems import DeadlineExceeded, InFlight, Overloaded, Unauthenticated, Unavailable
from polis.runtime.component import StepFailed
from polis.runtime.egress.addresses import Allowed, covers
from polis.runtime.egress.client import Egress

if TYPE_CHECKING:
    from polis.javascript import Call, Script
    from polis.proto import Request
    from polis.proto.runtime import Run
    from polis.runtime.config import Config
    from polis.runtime.engine.program import Program
    from polis.runtime.reach import Place, Told
    from polis.runtime.shell.tokens import Tokens
    from polis.service import Kernel

A = TypeVar("A")
_SECRETS = 256
_LATER = (Unavailable, DeadlineExceeded, Overloaded, InFlight)
"""Another attempt may go well."""
_AT_WORK_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0)
"""Between looks at what an attempt before is at work on, whose answer was lost: for as long as a call takes at the most."""
_PATH, _HIDING, _FILE = re.compile(r"[/\\]"), re.compile(HIDING), re.compile(FILE)
_MAX_NAME = 255
MAX_STORED = 20 * 1024 * 1024
"""Bytes of a file that a step writes."""

Leased = tuple[UUID, UUID, str]


class Reaching:
    """What all runs of this process share on their way out."""

    def __init__(self, config: Config, kernel: Kernel, tokens: Tokens) -> None:
        self.kernel = kernel
        self.tokens = tokens
        self.egress = Egress(Allowed(config.egress_allow))
        self.folders = folders(config.run_folders)
        self.scripts = Pool(config.script_workers)
        self._secrets: OrderedDict[Leased, identity.SecretLease] = OrderedDict()

    async def close(self) -> None:
        await self.egress.close()
        await self.scripts.close()

    def of(self, run: Run, program: Program, owner: UUID) -> RunReach:
        """What one run may reach."""
        return RunReach(self, run, program.scopes, owner)

    async def secret(self, org_id: UUID, principal_id: UUID, secret_id: UUID) -> identity.SecretLease:
        """A lease is kept for as long as it holds, and for the one that it was given for alone."""
        wanted = (org_id, principal_id, str(secret_id))
        lease = self._secrets.get(wanted)
        if lease is None or lease.until <= datetime.now(UTC):
            request = identity.LeaseSecret(org_id, secret_id, principal_id)
            lease = await self.kernel.caller.call(request, token=await self.kernel.keys.own_token())
            self._secrets[wanted] = lease
            if len(self._secrets) > _SECRETS:
                self._secrets.popitem(last=False)
        return lease


class RunReach:
    """What one run may reach (polis.runtime.reach.Reach)."""

    def __init__(self, shared: Reaching, run: Run, scopes: tuple[str, ...], owner: UUID) -> None:
        self._shared = shared
        self._run = run
        self._scopes = scopes
        self._owner = owner

    @property
    def me(self) -> str:
        return str(self._run.actor_id)

    @property
    def egress(self) -> Egress:
        return self._shared.egress

    async def secret(self, secret_id: str, to: Place | Told | None) -> str:
        try:
            lease = await self._shared.secret(self._run.org_id, self._run.actor_id, UUID(secret_id))
        except ValueError:
            raise StepFailed("secret.no_id", "this is no id of a secret") from None
        except Refused as refusal:
            raise _failed(refusal) from None
        demand_hosts(lease.hosts, to(lease.value) if callable(to) else to)
        return lease.value

    async def call(self, request: Request[A], *, key: str, timeout_s: float | None = None) -> A:
        waits = iter(_AT_WORK_S)
        while True:
            try:
                return await self._call(request, key, timeout_s)
            except Refused as refusal:
                wait_s = next(waits, None) if isinstance(refusal.problem, InFlight) else None
                if wait_s is None:
                    raise _failed(refusal) from refusal
            await asyncio.sleep(wait_s)

    async def _call(self, request: Request[A], key: str, timeout_s: float | None) -> A:
        shared, run = self._shared, self._run
        token = await shared.tokens.of(run, self._scopes)
        try:
            return await shared.kernel.caller.call(
                request, token=token, org=str(run.org_id), idempotency_key=key, timeout_s=timeout_s
            )
        except Refused as refusal:
            if isinstance(refusal.problem, Unauthenticated):
                shared.tokens.forget(run, self._scopes)
            raise

    async def store(self, key: str, name: str, media_type: str, content: bytes) -> dict[str, object]:
        if len(content) > MAX_STORED:
            raise StepFailed(
                "file.too_large", f"a file of {len(content):,} bytes; {MAX_STORED:,} are the most"
            )
        digest = hashlib.sha256(content).hexdigest()
        announced = catalog.CreateUpload(
            name=file_name(name), size=len(content), media_type=media_type, sha256=digest
        )
        upload = await self.call(announced, key=f"{key}#create")
        await self._put(upload, content)
        artifact = await self.call(catalog.CompleteUpload(upload.id, digest), key=f"{key}#complete")
        return {
            "artifact_id": str(artifact.id),
            "name": artifact.name,
            "media_type": artifact.media_type,
            "size": artifact.size,
        }

    async def _put(self, upload: catalog.Upload, content: bytes) -> None:
        """The parts of an upload; one that an attempt before has completed is left as it is."""
        for number, start in enumerate(range(0, len(content), upload.part_bytes)):
            part = catalog.PutPart(upload.id, number, content[start : start + upload.part_bytes])
            try:
                await self.call(part, key="")
            except StepFailed as failure:
                cause = failure.__cause__
                if isinstance(cause, Refused) and isinstance(cause.problem, catalog.UploadNotFound):
                    return
                raise

    async def tell(self, key: str, topic: str, data: object) -> None:
        run, database = self._run, self._shared.kernel.database
        try:
            async with database.transaction([run.org_id]) as tx:
                # Nothing takes effect after the end of a run, or by who has lost it.
                own = await tx.value(
                    "select true from runtime.runs where org_id = $1 and id = $2 and owner = $3"
                    " and ended_at is null for share",
                    run.org_id,
                    run.id,
                    self._owner,
                )
                if not own:
                    raise StepFailed("run.lost", "the run has ended, or goes on elsewhere")
                told = runtime.RunEmitted(
                    org_id=run.org_id, run_id=run.id, graph=run.graph, topic=topic, key=key, data=data
                )
                # The same after a crash in between: the stream and every listener's inbox know it by its id.
                await tx.emit(told, event_id=uuid5(run.id, key))
        except Refused as refusal:
            raise _failed(refusal) from refusal

    async def script(self, script: Script, call: Call) -> list[tuple[str, object]]:
        owned = msgspec.structs.replace(script, owner=str(self._run.org_id))
        return await self._shared.scripts.call(owned, call)

    def folder(self, name: str) -> Path:
        found = self._shared.folders.get(name)
        if found is None:
            raise StepFailed(
                "folder.unknown", f"no folder `{name:.60}` is named for runs (POLIS_RUN_FOLDERS)"
            )
        return found


def file_name(given: str) -> str:
    """A name from outside as the catalog takes it: without a path, and without what hides or turns the text around it."""
    name = _HIDING.sub("", _PATH.sub("_", given))[:_MAX_NAME]
    return name if _FILE.search(name) else "file"


def demand_hosts(hosts: tuple[str, ...], to: Place | None) -> None:
    """StepFailed unless a secret that is bound to these hosts goes to one of them, whatever a graph or a message says."""
    if not hosts or (to is not None and covers(hosts, *to)):
        return
    where = "it is not sent to one" if to is None else f"not for `{to[0]:.200}`"
    raise StepFailed("secret.elsewhere", f"the secret is bound to hosts, and {where}")


def folders(named: str) -> dict[str, Path]:
    """`docs=/srv/docs, code=/srv/code` as folders by their names."""
    pairs = (part.partition("=") for part in named.split(",") if part.strip())
    return {name.strip(): Path(path.strip()).resolve() for name, _, path in pairs if path.strip()}


def _failed(refusal: Refused) -> StepFailed:
    """A refusal as the failure of a step: the kind is the problem's last words, `catalog.resource_not_found`."""
    problem = refusal.problem
    kind = problem.type.removeprefix("/problems/").replace("/", ".").replace("-", "_")
    failure = StepFailed(kind, str(refusal)[:500], retryable=problem.retryable or isinstance(problem, _LATER))
    failure.__cause__ = refusal
    return failure
