"""What containers need, as far as it can be seen without a Docker engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from polis.proto.registry import SERVICES

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


def test_the_compose_file_is_what_docker_compose_accepts():
    docker_compose = Path(sys.executable).parent / "docker-compose"

    done = subprocess.run(
        [docker_compose, "-f", COMPOSE, "config", "-q"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_of_the_registry_is_in_it_hardened(compose, service):
    found = compose["services"][service.name]

    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["environment"]["POLIS_PORT"] == str(service.port)
    assert (f"{service.name}-migrate" in compose["services"]) == service.schema


def test_only_the_gateway_is_reachable_and_on_loopback_alone(compose):
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}

    assert list(ports) == ["gateway"]
    assert all(port.startswith("127.0.0.1:") for port in ports["gateway"])


def test_every_secret_is_one_that_the_command_writes(compose, tmp_path):
    subprocess.run([sys.executable, "-m", "polis.local", "secrets", tmp_path], check=True, timeout=60)

    for secret in compose["secrets"].values():
        assert (tmp_path / Path(secret["file"]).name).stat().st_size > 0


def test_secrets_are_their_owners_here_and_every_users_where_they_are_mounted(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o755)

    for _ in range(2):
        subprocess.run([sys.executable, "-m", "polis.local", "secrets", folder], check=True, timeout=60)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o444}
    assert (folder / "passwords").stat().st_mode & 0o777 == 0o755


def test_writing_the_secrets_again_changes_none(tmp_path):
    contents = []
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "polis.local", "secrets", tmp_path], check=True, timeout=60)
        contents.append({file.name: file.read_text() for file in tmp_path.rglob("*") if file.is_file()})

    assert contents[0] == contents[1]


def test_an_image_holds_what_its_service_needs_and_nothing_else():
    done = subprocess.run(
        ["sh", "deploy/build-by-hand.sh", "gateway"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "gateway: 3 packages of the tree" in done.stdout
