"""Resources as plain files that a person edits and Git compares: a folder for each, contents in JSON with sorted names.

polis.json                              {"format": 1}
graph/email-digest/resource.json        name, visibility, tags, deprecation; environments and the file each one uses
graph/email-digest/content.json         the draft
graph/email-digest/active.staging.json  what an environment uses, where that is not the draft
graph/email-digest/signatures.json      who vouches for which of these files: public keys and their signatures
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from msgspec import Struct

from polis import graph
from polis.proto.catalog import Change, ResourceType, Visibility

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FORMAT = 1
MARK = "polis.json"
_RESOURCE = "resource.json"
_DRAFT = "content.json"
_SIGNATURES = "signatures.json"
_TYPES: tuple[str, ...] = get_args(get_args(ResourceType)[0])


class BadFiles(Exception):
    """The folder is none that could be read or written; the message says why."""


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    """What resource.json says."""

    name: str
    visibility: Visibility = "org"
    tags: tuple[str, ...] = ()
    deprecation: str | None = None
    active: dict[str, str] = {}


def write(folder: Path, changes: Iterable[Change]) -> list[Path]:
    """Make the folder hold these changes and no other resources; the files that became other ones. BadFiles."""
    try:
        return _put_into(folder, changes)
    except (OSError, UnicodeDecodeError) as error:
        raise BadFiles(f"{folder}: {error}") from None


def _put_into(folder: Path, changes: Iterable[Change]) -> list[Path]:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise BadFiles(
            f"{folder} holds something else: an export goes into an empty folder, or over an export"
        )
    texts = {MARK: _text({"format": FORMAT})}
    for resource in _by_resource(changes):
        texts |= _texts(resource)
    return sorted(_written(folder, texts) + _removed(folder, texts))


def _by_resource(changes: Iterable[Change]) -> list[list[Change]]:
    found: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        found.setdefault((change.type, change.key), []).append(change)
    return list(found.values())


def _texts(resource: list[Change]) -> dict[str, str]:
    """Relative paths and contents of one resource's files."""
    put, *others = resource
    place = f"{put.type}/{put.key}"
    texts = {f"{place}/{_DRAFT}": _text(put.content)}
    files: dict[str, str] = {}
    for change in others:
        if change.action != "activate":
            continue
        name = _DRAFT if change.content is None else f"active.{change.environment}.json"
        files[str(change.environment)] = name
        if change.content is not None:
            texts[f"{place}/{name}"] = _text(change.content)
    head = {
        "name": put.name,
        "visibility": put.visibility,
        "tags": list(put.tags or ()),
        "deprecation": put.deprecation if put.deprecated else None,
        "active": files,
    }
    if any(change.action == "sign" for change in others):
        texts[f"{place}/{_SIGNATURES}"] = _text(_signatures(put, others))
    return {**texts, f"{place}/{_RESOURCE}": _text(head)}


def _signatures(put: Change, others: list[Change]) -> dict[str, dict[str, str]]:
    """Who signed what: the signatures by public key, under the first file that has the content."""
    named: dict[str | None, str] = {}
    for change in (put, *others):
        if change.content is not None:
            name = _DRAFT if change.action == "put" else f"active.{change.environment}.json"
            named.setdefault(graph.digest(change.content), name)
    found: dict[str, dict[str, str]] = {}
    for change in others:
        if change.action != "sign":
            continue
        if change.digest not in named:
            raise BadFiles(f"the mesh has a signature of another content than it tells: {put.type}/{put.key}")
        found.setdefault(named[change.digest], {})[str(change.public_key)] = str(change.signature)
    return found


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _written(folder: Path, texts: dict[str, str]) -> list[Path]:
    changed = []
    for name, text in texts.items():
        file = folder / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            changed.append(file)
    return changed


def _removed(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Files of resources that are not there any more; whatever else lies in the folder stays."""
    gone = [file for file in _ours(folder) if file.relative_to(folder).as_posix() not in texts]
    for file in gone:
        file.unlink()
    for place in {file.parent for file in gone}:
        if not any(place.iterdir()):
            place.rmdir()
    return gone


def _ours(folder: Path) -> Iterator[Path]:
    for kind in _TYPES:
        for pattern in (_RESOURCE, _DRAFT, _SIGNATURES, "active.*.json"):
            yield from folder.glob(f"{kind}/*/{pattern}")


def read(folder: Path) -> list[Change]:
    """The changes that the files of a folder hold, by type and key. BadFiles names the file that is wrong."""
    mark = _json(folder / MARK)
    if mark != {"format": FORMAT}:
        raise BadFiles(f"{folder / MARK} is not of format {FORMAT}")
    changes: list[Change] = []
    for place in sorted(file.parent for kind in _TYPES for file in folder.glob(f"{kind}/*/{_RESOURCE}")):
        changes += _read(place)
    return changes


def _read(place: Path) -> list[Change]:
    try:
        head = msgspec.convert(_json(place / _RESOURCE), _Head)
        changes = [_put(place, head)] + [
            _activation(place, environment, name) for environment, name in sorted(head.active.items())
        ]
    except msgspec.ValidationError as error:
        raise BadFiles(f"{place / _RESOURCE}: {error}") from None
    return changes + _signed(place)


def _signed(place: Path) -> list[Change]:
    """What vouches for the files of a resource, as they are now: an edited file is one that nobody signed."""
    file = place / _SIGNATURES
    if not file.exists():
        return []
    try:
        signatures = msgspec.convert(_json(file), dict[str, dict[str, str]])
        return sorted(
            (
                _signature(place, name, public_key, text)
                for name, by in signatures.items()
                for public_key, text in by.items()
            ),
            key=lambda change: (str(change.digest), str(change.public_key)),
        )
    except (msgspec.ValidationError, graph.GraphFaults) as error:
        raise BadFiles(f"{file}: {error}") from None


def _signature(place: Path, name: str, public_key: str, text: str) -> Change:
    fields = {
        "action": "sign",
        "type": place.parent.name,
        "key": place.name,
        "digest": graph.digest(_json(_beside(place, name, _SIGNATURES))),
        "public_key": public_key,
        "signature": text,
    }
    return msgspec.convert(fields, Change)


def _put(place: Path, head: _Head) -> Change:
    fields = {
        "action": "put",
        "type": place.parent.name,
        "key": place.name,
        "content": _json(place / _DRAFT),
        "name": head.name,
        "visibility": head.visibility,
        "tags": sorted(set(head.tags)),
        "deprecated": head.deprecation is not None,
        "deprecation": head.deprecation or "",
    }
    return msgspec.convert(fields, Change)


def _activation(place: Path, environment: str, name: str) -> Change:
    file = _beside(place, name, _RESOURCE)
    fields = {
        "action": "activate",
        "type": place.parent.name,
        "key": place.name,
        "environment": environment,
        "content": None if name == _DRAFT else _json(file),
    }
    return msgspec.convert(fields, Change)


def _beside(place: Path, name: str, named_in: str) -> Path:
    if not name.endswith(".json") or "/" in name or "\\" in name:
        raise BadFiles(f"{place / named_in}: {name!r} is no file beside it")
    return place / name


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_object)
    except (OSError, ValueError) as error:
        raise BadFiles(f"{file}: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
