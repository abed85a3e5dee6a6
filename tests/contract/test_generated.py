"""What is committed under proto/generated is what the contract says today, and what services read at run time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from polis.proto.documents import DOCUMENTS, document
from polis.specs.render import documents, of_client, write

GENERATED = Path(__file__).parents[2] / "proto" / "generated"


def test_the_committed_documents_are_fresh():
    fresh = documents()
    committed = {str(p.relative_to(GENERATED)): p.read_bytes() for p in GENERATED.rglob("*") if p.is_file()}

    drifted = sorted(n for n in fresh.keys() | committed.keys() if fresh.get(n) != committed.get(n))

    assert not drifted, f"run `make specs`: {', '.join(drifted)}"


def test_what_the_javascript_client_is_made_from_is_fresh():
    folder = Path(__file__).parents[2] / "clients" / "typescript" / "generated"

    assert {p.name: p.read_bytes() for p in folder.iterdir()} == of_client(), "run `make specs`"


def test_the_same_contract_gives_the_same_bytes_in_whichever_order_its_modules_were_imported():
    imported_first = "import polis.proto.gateway, polis.proto.runtime"
    render = "from polis.specs.render import documents, of_client; print(hash_of(documents() | of_client()))"
    hash_of = "import hashlib, json; hash_of = lambda d: hashlib.sha256(repr(sorted(d.items())).encode()).hexdigest()"
    script = f"{imported_first}; {hash_of}; {render}"

    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=100
    )

    assert (
        other.stdout.strip()
        == hashlib.sha256(repr(sorted((documents() | of_client()).items())).encode()).hexdigest()
    )


def test_writing_replaces_what_drifted_and_removes_what_is_no_longer_rendered(tmp_path):
    write(tmp_path)
    (tmp_path / "catalog" / "openapi.json").write_text("old")
    (tmp_path / "catalog" / "gone.json").write_text("")

    assert write(tmp_path) == ["catalog/gone.json", "catalog/openapi.json"]
    assert write(tmp_path) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_running_service_finds_its_documents(service, name):
    assert document(service, name) == (GENERATED / service / name).read_bytes()
