"""Resources as files: what is written is read again as it was, whatever it holds."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polis import graph
from polis.cli import files
from polis.cli.files import BadFiles
from polis.proto.catalog import Change

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.floats(-1e15, 1e15) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
CONTENT = st.dictionaries(TEXT, JSON, max_size=3)
NAMES = st.from_regex(r"[a-z][a-z0-9._-]{0,12}", fullmatch=True)
TITLE = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), max_size=10)


@st.composite
def resources(draw):
    """The changes that make one resource, as an export tells them."""
    kind, key = draw(st.sampled_from(["graph", "policy", "place"])), draw(NAMES)
    deprecated = draw(st.booleans())
    put = Change(
        "put",
        kind,
        key,
        content=draw(CONTENT),
        name=draw(TITLE),
        visibility=draw(st.sampled_from(["private", "org", "public"])),
        tags=tuple(sorted(draw(st.sets(st.sampled_from("abc"))))),
        deprecated=deprecated,
        deprecation=draw(TITLE) if deprecated else "",
    )
    environments = sorted(draw(st.sets(st.sampled_from(["production", "staging", "a-b"]))))
    active = [
        Change("activate", kind, key, environment=e, content=draw(st.none() | CONTENT)) for e in environments
    ]
    digests = {graph.digest(c.content) for c in (put, *active) if c.content is not None}
    signers = sorted(draw(st.sets(st.sampled_from("AB"))))
    return [put, *active, *(signed(kind, key, d, by) for d in sorted(digests) for by in signers)]


def signed(kind, key, digest, by="A"):
    return Change("sign", kind, key, digest=digest, public_key=by * 43, signature=by * 86)


def told(changes):
    return sorted(msgspec.json.encode(change, order="deterministic") for change in changes)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(resources(), max_size=4, unique_by=lambda r: (r[0].type, r[0].key)))
def test_what_is_written_is_read_again_and_written_the_same(exported):
    changes = [c for resource in sorted(exported, key=lambda r: (r[0].type, r[0].key)) for c in resource]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files.write(folder, changes)

        read = files.read(folder)

        assert told(read) == told(changes)
        assert files.write(folder, read) == []


def test_what_is_not_exported_any_more_is_removed_and_nothing_else(tmp_path):
    kept, gone = (Change("put", "policy", key, content={}, name=key) for key in ("kept", "gone"))
    files.write(tmp_path, [kept, gone])
    for name in ("README.md", "policy/notes.txt"):
        (tmp_path / name).write_text("mine")

    changed = files.write(tmp_path, [kept])

    assert {f.relative_to(tmp_path).as_posix() for f in changed} == {
        "policy/gone/content.json",
        "policy/gone/resource.json",
    }
    left = {f.relative_to(tmp_path).as_posix() for f in tmp_path.rglob("*")}
    assert left == {
        "README.md", "polis.json", "policy", "policy/kept", "policy/kept/content.json", "policy/kept/resource.json",
        "policy/notes.txt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("polis.json", '{"format": 2}'),
        ("policy/a/resource.json", '{"name": "a", "owner": "me"}'),
        ("policy/a/resource.json", '{"name": "a", "active": {"test": "../../polis.json"}}'),
        ("policy/a/resource.json", '{"name": "a", "active": {"Test": "content.json"}}'),
        ("policy/a/resource.json", '{"name": "a", "active": {"test": "missing.json"}}'),
        ("policy/a/signatures.json", json.dumps({"other.json": {"A" * 43: "A" * 86}})),
        ("policy/a/signatures.json", json.dumps({"../a/content.json": {"A" * 43: "A" * 86}})),
        ("policy/a/signatures.json", json.dumps({"content.json": {"me": "A" * 86}})),
        ("policy/a/content.json", "[]"),
        ("policy/a/content.json", '{"a": 1, "a": 2}'),
        ("policy/a/content.json", "\ud800".encode("utf-8", "surrogatepass")),
    ],
)
def test_a_wrong_file_is_named(tmp_path, name, text):
    files.write(tmp_path, [Change("put", "policy", "a", content={}, name="a")])
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(BadFiles) as refused:
        files.read(tmp_path)

    folder = Path(name).parent.as_posix()
    assert str(tmp_path / ("" if folder == "." else folder)) in str(refused.value)


def test_files_read_well(tmp_path):
    active = Change("activate", "policy", "a", environment="staging", content={"n": 1})
    vouching = signed("policy", "a", graph.digest({"n": 1}))
    draft = Change("put", "policy", "a", content={"b": "é", "a": []}, name="A")
    files.write(tmp_path, [draft, active, vouching])

    assert (tmp_path / "policy/a/content.json").read_text() == '{\n  "a": [],\n  "b": "é"\n}\n'
    head = json.loads((tmp_path / "policy/a/resource.json").read_text())
    assert head["active"] == {"staging": "active.staging.json"}
    signatures = json.loads((tmp_path / "policy/a/signatures.json").read_text())
    assert signatures == {"active.staging.json": {"A" * 43: "A" * 86}}
