"""What an export or import that is refused says."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from polis.cli.exchange import Wish, bring, export
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


async def test_of_many_files_the_one_is_named_whose_content_is_none(tmp_path):
    (tmp_path / MARK).write_text(json.dumps({"format": 1}))
    for key, content in (("a", "{}"), ("b", '{"n": 9007199254740993}')):
        place = tmp_path / "context" / key
        place.mkdir(parents=True)
        (place / "resource.json").write_text(json.dumps({"name": key}))
        (place / "content.json").write_text(content)
    console = Console(file=io.StringIO())

    assert await bring(Mesh(), tmp_path, Wish("t"), console) == 1
    assert "context/b: /content/n: " in console.file.getvalue()


async def test_a_folder_that_cannot_be_written_is_refused_in_words(tmp_path):
    (tmp_path / "there").write_text("a file")
    console = Console(file=io.StringIO())

    for folder in (tmp_path / "there", tmp_path / "there" / "below"):
        assert await export(Mesh(), folder, console) == 1
        assert f"refused: {folder}: " in console.file.getvalue()
