"""What an export or import that is refused says."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from polis.cli.exchange import Wish, bring
from polis.cli.files import MARK


class Mesh:
    """A gateway whose org has no resources."""

    async def lines(self, path):
        for line in ():
            yield line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (r"a[/b]", r"a[/b]/polis.json: Expecting"),
        ("plain", r"Expected `str` matching regex '^[a-z0-9][a-z0-9._-]{0,39}$"),
    ],
    ids=["a name that would be markup", "a pattern"],
)
async def test_a_refusal_is_said_as_it_is(tmp_path, name, said):
    folder = tmp_path / name
    place = folder / "context" / "a"
    place.mkdir(parents=True)
    (folder / MARK).write_text("" if "[" in name else json.dumps({"format": 1}))
    (place / "resource.json").write_text(json.dumps({"name": "A", "tags": ["A"]}))
    (place / "content.json").write_text("{}")
    console = Console(file=io.StringIO())

    assert await bring(Mesh(), folder, Wish("t"), console) == 1
    assert said in console.file.getvalue()
