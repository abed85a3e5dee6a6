"""What is written for containers: secrets are kept, and what is made of them and of the release is made anew."""

from __future__ import annotations

from polis.bus.permissions import users
from polis.local.containers import write_secrets


def _read(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_secrets_stay_and_the_broker_s_settings_are_those_of_the_release(tmp_path):
    folder = tmp_path / "secrets"
    write_secrets(folder)
    first = _read(folder)
    assert all(user.name in first["nats.conf"] for user in users())
    (folder / "nats.conf").chmod(0o600)
    (folder / "nats.conf").write_text("of a release before")
    (folder / "mesh").unlink()

    write_secrets(folder)

    second = _read(folder)
    assert second["nats.conf"] == first["nats.conf"]
    assert second["mesh"] != first["mesh"]
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"mesh"}
    assert (folder / "nats.conf").stat().st_mode & 0o777 == 0o444
