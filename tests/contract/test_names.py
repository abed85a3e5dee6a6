"""Names that people give: of any script, and none that hides or turns the text around it."""

from __future__ import annotations

import msgspec
import pytest

from polis.proto import catalog, identity, messaging

NAMES = (
    "Ada Lovelace",
    "O'Neill & Söhne GmbH",
    "x",
    "李小龍",
    "می\u200cنویسم",  # a non-joiner inside of a Persian word
    "ක්\u200dෂ",  # a joiner inside of a Sinhala one
    "\u200fשם Ltd",  # a mark that such scripts are typed with
    "👩\u200d🚀 Crew",
    " padded ",
    "e\u0301",
)
REFUSED = (
    " ",
    "\u00a0\u3000",
    "\u200b",
    "\u200d\ufe0f",
    "\u2800\u3164",
    "a\nb",
    "a\n",
    "a\0",
    "a\x7f",
    "a\x85b",
    "a\x9b31mb",
    "a\u2028b",
    "a\u202eb",
    "\u202aa\u202c",
    "\u2067a\u2069",
)


@pytest.mark.parametrize(
    "kind", [identity.NewName, catalog.NewTitle, catalog.NewFileName, messaging.NewTitle]
)
def test_a_name_is_of_any_script_and_shows_something(kind):
    assert [msgspec.convert(name, kind) for name in NAMES] == list(NAMES)
    for name in REFUSED:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(name, kind)


def test_what_may_have_no_name_has_none():
    for kind in (catalog.NewTitle, messaging.NewTitle):
        assert msgspec.convert("", kind) == ""
    for kind in (identity.NewName, catalog.NewFileName):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert("", kind)


def test_a_file_is_named_without_its_path():
    for name in ("a.txt", ".profile", "...", ". ."):
        assert msgspec.convert(name, catalog.NewFileName) == name
    for name in (".", "..", "a/b", "a\\b", "/"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(name, catalog.NewFileName)


@pytest.mark.parametrize("kind", [identity.Name, catalog.Title, catalog.FileName, messaging.Title])
def test_a_name_of_before_is_told_as_it_is(kind):
    assert msgspec.convert("a\u202eb", kind) == "a\u202eb"
