"""What README and CONTRIBUTING say is carried out as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

from polis.proto.registry import SERVICES
from polis.telemetry.metrics import exposition
from tests.e2e import terminal

ROOT = Path(__file__).parent.parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"`(?P<path>[\w./-]+\.(?:py|toml|sql))`[^`]*?:?\n\n   ```\w+\n(?P<code>.*?)\n   ```", re.DOTALL
)
COMMAND_S = 200.0

pytestmark = pytest.mark.timeout(3 * COMMAND_S + 40)


def blocks(heading: str) -> list[tuple[str, str]]:
    """Paths and contents of a section's code blocks, each under the path that was named last before it."""
    section = CONTRIBUTING.split(f"## {heading}\n")[1].split("\n## ")[0]
    found, path = [], ""
    for piece in re.split(r"(   ```\w+\n.*?\n   ```)", section, flags=re.DOTALL):
        if piece.startswith("   ```"):
            found.append(
                (path, textwrap.dedent(piece).strip("\n").split("\n", 1)[1].rsplit("\n", 1)[0] + "\n")
            )
        elif named := re.findall(r"`([\w./-]+\.(?:py|toml|sql))`", piece):
            path = named[0] if "pyproject" in piece else named[-1]
    return found


@pytest.fixture
def copy(tmp_path):
    """A copy of the tree, in a path with a space."""
    tree = tmp_path / "a copy"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    return tree


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the copy: its packages come before the installed ones."""
    packages = [tree / "proto", *sorted((tree / "libs").iterdir()), *sorted((tree / "services").iterdir())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, packages))}
    return terminal.run(sys.executable, *arguments, env=environment, within_s=COMMAND_S, cwd=tree)


def add(tree: Path, path: str, code: str) -> None:
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    before = file.read_text(encoding="utf-8") + "\n\n" if file.exists() else ""
    file.write_text(before + code, encoding="utf-8")


def test_an_operation_is_added_as_the_text_says(copy):
    for path, code in blocks("Add an operation"):
        add(copy, path, code)

    specs = run(copy, "-m", "polis.specs")
    tested = run(copy, "-m", "pytest", "-q", "services/identity/tests/test_agent_count.py")

    assert specs.returncode == 0, specs.stderr
    assert "/api/v1/agent-count" in (copy / "proto/generated/gateway/openapi.json").read_text(
        encoding="utf-8"
    )
    assert tested.returncode == 0, tested.stdout[-3000:]


def test_a_service_is_added_as_the_text_says(copy):
    for path, code in blocks("Add a service"):
        if path.endswith("registry.py"):
            registry = copy / path
            text = registry.read_text(encoding="utf-8")
            registry.write_text(
                text.replace("schema=False),\n", "schema=False),\n    " + code, 1), encoding="utf-8"
            )
        else:
            add(copy, path, code)
    (copy / "services/notes/polis/notes/__init__.py").touch()

    specs = run(copy, "-m", "polis.specs")
    tested = run(copy, "-m", "pytest", "-q", "services/notes/tests/test_notes.py")
    layers = run(copy, "setup/layers.py")

    assert specs.returncode == 0, specs.stderr
    assert tested.returncode == 0, tested.stdout[-3000:]
    assert layers.returncode == 0, layers.stdout[-3000:]


def test_every_make_target_that_the_documents_name_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert set(re.findall(r"[`$] ?make ([a-z]+)", README + CONTRIBUTING + OPERATING)) <= targets


def test_every_metric_and_setting_that_operating_names_exists():
    kinds = {s.name: import_module(f"polis.{s.name}.service").service.settings for s in SERVICES}
    metrics = set(re.findall(r"^# HELP (\w+)", exposition().decode(), re.MULTILINE))
    fields = [(name, field) for name, kind in kinds.items() for field in kind.__struct_fields__]
    settings = {f"POLIS_{field.upper()}" for _, field in fields}
    settings |= {f"POLIS_{name.upper()}__{field.upper()}" for name, field in fields}
    settings |= {"POLIS_HOME", "POLIS_MESH_SECRET_FILE", "POLIS_"}

    assert set(re.findall(r"`(polis_[a-z_]+|process_[a-z_]+)`", OPERATING)) <= metrics
    assert set(re.findall(r"`(POLIS_[A-Z_]*)[`=]", OPERATING)) <= settings


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "adr"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))

    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_every_link_of_the_documents_leads_somewhere():
    for document in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("services/*/README.md"),
        *ROOT.glob("clients/*/README.md"),
    ]:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert link.startswith("http") or (document.parent / link).exists(), f"{document.name}: {link}"
