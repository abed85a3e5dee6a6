"""What may be said: sizes, parts, files, and whom a text addresses."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.messaging.messages import files
from polis.proto import Refused
from polis.proto.catalog import ArtifactNotFound, GetArtifact
from polis.proto.messaging import MAX_MENTIONS, AttachmentRefused, MessagePart
from polis.proto.problems import Fault, Forbidden, Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.messaging.config import Config
    from polis.messaging.own import Own
    from polis.proto.catalog import Artifact
    from polis.proto.messaging import PostMessage
    from polis.service import Context

MAX_BYTES = 64 * 1024
"""Of a message's text, parts and attributes together."""
_CONTENT_BYTES = 16 * 1024
_ATTRIBUTES = 16
_ATTRIBUTES_BYTES = 2 * 1024
_MENTION = re.compile(r"(?<![\w@.-])@([A-Za-z0-9][A-Za-z0-9-]{0,63})")
_PROGRAMS = frozenset(
    {
        "application/x-msdownload",
        "application/x-msdos-program",
        "application/vnd.microsoft.portable-executable",
        "application/x-executable",
        "application/x-sh",
        "application/x-bat",
        "application/x-msi",
        "application/java-archive",
        "application/vnd.android.package-archive",
    }
)
"""Types of files that run when they are opened."""
_SHOWN = frozenset({"audio", "image", "video"})
"""What clients show by itself."""
_CONTAINERS = {"audio": ("application/ogg", "video/mp4", "video/webm"), "video": ("application/ogg",)}
_STORED = frozenset({"audio", "file"})


class Carried(Struct, frozen=True):
    """Parts with what is known of their files, and which of those the sender had from others and may send on."""

    parts: tuple[MessagePart, ...] = ()
    sent_on: frozenset[UUID] = frozenset()


def demand_bounds(text: str, parts: Sequence[MessagePart], attributes: dict[str, object]) -> None:
    """Refused(Invalid), which names everything that is empty, too large or out of place."""
    faults = [*_of_parts(parts)]
    if not text.strip() and not parts:
        faults.append(Fault("/text", "Expected a text, or parts"))
    if len(attributes) > _ATTRIBUTES or _bytes(attributes) > _ATTRIBUTES_BYTES:
        faults.append(Fault("/attributes", f"Expected at most {_ATTRIBUTES}, in {_ATTRIBUTES_BYTES} bytes"))
    if not faults and len(text.encode()) + _bytes(parts) > MAX_BYTES:
        faults.append(Fault("/text", f"Expected at most {MAX_BYTES} bytes, with the parts"))
    if faults:
        raise Refused(Invalid(faults=tuple(faults)))


def _of_parts(parts: Sequence[MessagePart]) -> list[Fault]:
    faults = []
    for number, part in enumerate(parts):
        if part.kind == "ask":
            faults.append(Fault(f"/parts/{number}/kind", "Expected no ask: a run asks, nobody else"))
            continue
        stored = part.kind in _STORED
        if stored != (part.artifact_id is not None):
            detail = (
                "Expected the artifact of a file" if stored else "Expected no artifact of what is no file"
            )
            faults.append(Fault(f"/parts/{number}/artifact_id", detail))
        if stored == (part.content is not None):
            detail = "Expected no content of a file" if stored else f"Expected the content of a {part.kind}"
            faults.append(Fault(f"/parts/{number}/content", detail))
        elif part.content is not None and _bytes(part.content) > _CONTENT_BYTES:
            faults.append(Fault(f"/parts/{number}/content", f"Expected at most {_CONTENT_BYTES} bytes"))
    return faults


def _bytes(value: object) -> int:
    return len(msgspec.json.encode(value)) if value else 0


async def looked_up(ctx: Context[Own], parts: Sequence[MessagePart], into: UUID) -> Carried:
    """The parts of a message of a conversation with what is known of their files. Refused(AttachmentRefused)."""
    known: list[MessagePart] = []
    sent_on = set()
    for part in parts:
        if part.artifact_id is None:
            known += without_files((part,))
            continue
        artifact = await _file(ctx, part.artifact_id)
        _demand_taken(ctx.own.config, part, artifact)
        if await files.may_send_on(ctx, artifact, into):
            sent_on.add(artifact.id)
        known.append(
            msgspec.structs.replace(
                part, name=artifact.name, media_type=artifact.media_type, size=artifact.size
            )
        )
    return Carried(tuple(known), frozenset(sent_on))


def without_files(parts: Sequence[MessagePart]) -> tuple[MessagePart, ...]:
    """Parts that bring no file: what they say of one is not so."""
    if not parts:
        return ()
    return tuple(msgspec.structs.replace(part, name="", media_type="", size=0) for part in parts)


async def _file(ctx: Context[Own], artifact_id: UUID) -> Artifact:
    try:
        return await ctx.call(GetArtifact(artifact_id=artifact_id))
    except Refused as refusal:
        if isinstance(refusal.problem, (ArtifactNotFound, Forbidden)):
            raise _refused(artifact_id, "there is no such file, or it is not the sender's to see") from None
        raise


def _demand_taken(config: Config, part: MessagePart, artifact: Artifact) -> None:
    if artifact.size > config.attachment_bytes:
        raise _refused(artifact.id, f"it has more than {config.attachment_bytes} bytes")
    if part.kind == "audio" and not artifact.media_type.lower().startswith("audio/"):
        raise _refused(artifact.id, "it is not audio")
    if not _taken(config, artifact.media_type.lower()):
        raise _refused(artifact.id, f"files of type {artifact.media_type} are not taken")
    if artifact.found_type is not None and not _agree(artifact.media_type.lower(), artifact.found_type):
        raise _refused(
            artifact.id, f"it is called {artifact.media_type}, and its bytes are {artifact.found_type}"
        )


def _taken(config: Config, media_type: str) -> bool:
    patterns = (each.strip().lower() for each in config.attachment_types.split(","))
    return media_type not in _PROGRAMS and any(fnmatchcase(media_type, each) for each in patterns if each)


def _agree(said: str, found: str) -> bool:
    """Whether a file may be what it is said to be. A name for many formats says little, one for pictures or sound much."""
    if found in _PROGRAMS:
        return False
    kind = said.partition("/")[0]
    if kind not in _SHOWN:
        return True
    return found.startswith(f"{kind}/") or found in _CONTAINERS.get(kind, ())


def _refused(artifact_id: UUID, reason: str) -> Refused:
    return Refused(AttachmentRefused(artifact_id=artifact_id, reason=reason))


def names(request: PostMessage) -> bool:
    """Whether a message may mention somebody."""
    return bool(request.mentions) or "@" in request.text


async def mentions(ctx: Context[Own], text: str, given: Sequence[str] = ()) -> tuple[UUID, ...]:
    """Whom a message addresses: who is named beside it, and in its text by `@alias`."""
    aliases = [*given, *(_MENTION.findall(text) if "@" in text else ())]
    if not aliases:
        return ()
    return await ctx.own.directory.meant(ctx, list(dict.fromkeys(aliases))[:MAX_MENTIONS])
