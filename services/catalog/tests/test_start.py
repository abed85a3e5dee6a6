"""What keeps the process from starting is said in one line, without a trace, before it ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.fixture
def started(stage):
    """What a process says and how it ends, with the settings of the stage but for these."""
    settings = stage.settings("catalog")
    given = {
        "POLIS_NATS_URL": settings.nats_url,
        "POLIS_NATS_USER": settings.nats_user,
        "POLIS_NATS_PASSWORD": str(settings.nats_password),
        "POLIS_CREDENTIAL": str(settings.credential),
        "POLIS_POSTGRES_URL": str(settings.postgres_url),
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POLIS_")}

    def started(*arguments, **changes):
        done = subprocess.run(
            [sys.executable, "-m", "polis.catalog", *arguments],
            env=clean | {name: value for name, value in (given | changes).items() if value},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()

    return started


@pytest.mark.parametrize(
    ("postgres_url", "expected"),
    [
        ("", "POLIS_POSTGRES_URL is missing"),
        ("localhost", "invalid DSN"),
        ("{host}/nothing_of_this_name", "does not exist"),
        ("postgresql://app_catalog:wrong@{place}", "password authentication failed"),
    ],
    ids=["none", "no url", "no database", "no password"],
)
async def test_a_database_that_cannot_be_used_is_named(stage, started, postgres_url, expected):
    host, _, _ = (whole := str(stage.settings("catalog").postgres_url)).rpartition("/")
    url = postgres_url.format(host=host, place=whole.rpartition("@")[2])

    code, said = started(POLIS_POSTGRES_URL=url)

    assert code == 1
    assert expected in said[-1]
    assert len(said) == 1


def test_so_is_a_migrator_that_nobody_named(started):
    code, said = started("--migrate")

    assert (code, said) == (1, ["catalog: POLIS_MIGRATOR_URL is missing"])
