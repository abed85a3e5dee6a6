"""The README tells of every setting and every operation."""

from __future__ import annotations

from pathlib import Path

from polis.identity.config import Config
from polis.proto.contract import operations
from polis.service import Settings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_setting_stands_in_the_readme_with_its_default():
    own = set(Config.__struct_fields__) - set(Settings.__struct_fields__)
    lines = [line for line in README.splitlines() if line.startswith("| `POLIS_")]

    told = {line.split("`")[1].removeprefix("POLIS_").lower(): line.split("|")[2].strip() for line in lines}
    assert told.keys() == own
    defaults = Config()
    for name, shown in told.items():
        value = getattr(defaults, name)
        assert shown.strip("`") == (
            "none" if value == "" else f"{value:g}" if isinstance(value, float) else str(value)
        )


def test_every_operation_stands_in_the_readme():
    names = {operation.request.__name__ for operation in operations("identity")}

    assert {name for name in names if f"**{name}**" not in README} == set()
