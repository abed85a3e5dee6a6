"""The tree is what the registry says: each service has its folder, its contract, its documents and its place."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from polis.proto.documents import DOCUMENTS, document
from polis.proto.registry import SERVICES
from polis.service.config import Settings, shown

ROOT = Path(__file__).parent.parent
NAMES = [service.name for service in SERVICES]


def test_the_folders_are_those_of_the_registry():
    assert sorted(NAMES) == sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())


@pytest.mark.parametrize("name", NAMES)
def test_a_service_is_complete(name):
    folder = ROOT / "services" / name
    expected = [
        "pyproject.toml",
        "README.md",
        "requirements.lock",
        "tests",
        f"polis/{name}/__main__.py",
        f"polis/{name}/service.py",
    ]

    assert [path for path in expected if not (folder / path).exists()] == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_that_owns_a_schema_has_migrations_and_no_other_has(service):
    found = list((ROOT / "services" / service.name).glob(f"polis/{service.name}/migrations/*.sql"))

    assert bool(found) == service.schema


@pytest.mark.parametrize("name", NAMES)
def test_a_service_handles_exactly_its_own_operations_and_events(name):
    import_module(f"polis.{name}.service").service.check()


def test_a_migration_that_changes_rows_says_how_it_sees_them():
    """Row-level security binds the owner, too: without a word it would find nothing to change, and nobody would hear of it."""
    changes = re.compile(r"^(?:with|update|delete from|insert into) ", re.MULTILINE)
    sees = re.compile(r"no force row level security|set local role :?\w+_system")
    files = [*ROOT.glob("services/*/polis/*/migrations/*.sql"), *ROOT.glob("libs/*/polis/*/migrations/*.sql")]

    blind = {f.name for f in files if changes.search(f.read_text()) and not sees.search(f.read_text())}

    assert blind == {"0021_agents.sql"}, "of a time when no agent had a number"


@pytest.mark.parametrize("name", NAMES)
def test_a_service_shows_its_documents(name):
    assert all(document(name, each) for each in DOCUMENTS)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_stands_in_the_readme(name):
    service = import_module(f"polis.{name}.service").service
    readme = (ROOT / "services" / name / "README.md").read_text(encoding="utf-8")
    own = set(shown(service.settings())) - set(shown(Settings()))

    assert [setting for setting in sorted(own) if setting not in readme] == []


def test_ports_are_all_different():
    ports = [service.port for service in SERVICES]

    assert len(set(ports)) == len(ports)


def test_connections_of_all_services_fit_into_the_embedded_server():
    held = sum(
        import_module(f"polis.{s.name}.service").service.settings().database_connections + 1
        for s in SERVICES
        if s.schema
    )

    assert held <= 80


def test_the_lock_files_name_no_address():
    for lock in [
        ROOT / "requirements.lock",
        *ROOT.glob("services/*/requirements.lock"),
        *ROOT.glob("setup/*.txt"),
    ]:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock
        assert "--index" not in text, lock
        assert "--hash=sha256:" in text, lock
