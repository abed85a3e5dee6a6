"""Rules between the fields of a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct, convert

from polis.graph.formats.pattern import pattern
from polis.proto.problems import Fault

Config = Mapping[str, object]


class _Replaced(Struct, frozen=True):
    pattern: str
    op: str = "find"
    replacement: str = ""


class _Picked(Struct, frozen=True):
    rename: dict[str, str] = {}


class _Figures(Struct, frozen=True):
    measures: dict[str, object]
    by: str = ""


def regex(config: Config) -> Iterator[Fault]:
    """The groups that a replacement names are there."""
    wanted = convert(config, _Replaced)
    if wanted.op != "replace":
        return
    found = pattern(wanted.pattern)
    for number, name in re.findall(r"\\(?:(\d+)|g<([^>]*)>)", wanted.replacement):
        known = int(number) <= found.groups if number else name in found.groupindex or name.isdigit()
        if not known:
            yield Fault("/replacement", f"the pattern has no group `{number or name}`")
            return


def pick(config: Config) -> Iterator[Fault]:
    names = list(convert(config, _Picked).rename.values())
    if len(set(names)) < len(names):
        yield Fault("/rename", "two fields get the same name")


def aggregate(config: Config) -> Iterator[Fault]:
    wanted = convert(config, _Figures)
    if wanted.by and "key" in wanted.measures:
        yield Fault("/measures/key", "`key` is the key's own name")


def parse(config: Config) -> Iterator[Fault]:
    if config.get("format") == "pattern" and not config.get("pattern"):
        yield Fault("/pattern", "required by this format")
