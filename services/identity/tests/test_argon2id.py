"""Argon2id by the tree's native code is the Argon2id of argon2-cffi, and is used only where it is right."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polis.identity.people import argon2id
from polis.identity.people.passwords import Hasher
from polis.testing import eventually

ROOT = Path(__file__).parents[3]
NATIVE, WHEEL = argon2id.best(), argon2id.Wheel()
needs_native = pytest.mark.skipif(
    isinstance(NATIVE, argon2id.Wheel), reason="no compiler, or a processor without it"
)


@needs_native
@given(
    secret=st.binary(max_size=200),
    salt=st.binary(min_size=8, max_size=40),
    rounds=st.integers(1, 3),
    memory_kib=st.integers(8, 2100),
    length=st.integers(4, 200),
)
@settings(max_examples=200, deadline=None)
def test_both_give_the_same_bytes_for_all_parameters(secret, salt, rounds, memory_kib, length):
    parameters = {"rounds": rounds, "memory_kib": memory_kib, "length": length}

    assert WHEEL(secret, salt, **parameters) == NATIVE(secret, salt, **parameters)


@pytest.mark.parametrize("memory_kib", [19_456, 47_104])
@pytest.mark.parametrize(("by", "read_by"), [(NATIVE, WHEEL), (WHEEL, NATIVE)])
def test_what_one_wrote_the_other_verifies(by, read_by, memory_kib):
    key = by(b"canary-password", b"a-salt-of-16-byt", rounds=2, memory_kib=memory_kib)
    stored = argon2id.encoded(b"a-salt-of-16-byt", key, rounds=2, memory_kib=memory_kib)

    assert argon2id.fits(stored, b"canary-password", read_by)
    assert not argon2id.fits(stored, b"canary-passwore", read_by)


@needs_native
async def test_memory_is_passed_on_in_a_burst_and_given_back_behind_it():
    hasher = Hasher(threads=2, queue=20)
    kept = hasher._argon2id._kept
    most = 0

    hashing = asyncio.gather(*(hasher.hash("x") for _ in range(12)))
    while not hashing.done():
        most = max(most, len(kept))
        await asyncio.sleep(0)

    assert 1 <= most <= 2
    await eventually(lambda: not kept)
    hasher.close()


def test_a_stored_hash_of_the_library_itself_is_verified():
    import argon2

    stored = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("x")

    assert argon2id.fits(stored, b"x", NATIVE)
    for other in (stored.replace("argon2id", "argon2i"), stored.replace("v=19", "v=16"), "x", ""):
        with pytest.raises(ValueError):  # noqa: PT011 - the library's messages are its own
            argon2id.fits(other, b"x", NATIVE)


def build(source: str, folder: Path) -> Path:
    (folder / "wrong.c").write_text(source, encoding="utf-8")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "wrong.so", folder / "wrong.c"], check=True)
    return folder / "wrong.so"


WRONG = """
int argon2id_runs_here(void) { return %d; }
int argon2id_fill(void) { return 0; }
void argon2id_release(void) {}
void *argon2id_memory(unsigned blocks) { return "some"; }
"""


@needs_native
@pytest.mark.parametrize(("runs", "why"), [(1, "does not give the hash"), (0, "this processor")])
def test_code_that_hashes_wrongly_or_fits_no_processor_is_not_used(tmp_path, runs, why):
    wrong = build(WRONG % runs, tmp_path)

    with pytest.raises(OSError, match=why):
        argon2id.Native(wrong)


def test_without_a_compiler_a_line_says_so_and_the_wheel_does_the_work(tmp_path):
    env = {**os.environ, "CC": str(tmp_path / "none"), "PYTHONPATH": str(tmp_path)}
    (tmp_path / "sitecustomize.py").write_text(
        f"import sysconfig\nsysconfig.get_path = lambda name, *_, **__: {str(tmp_path)!r}\n", encoding="utf-8"
    )
    (tmp_path / "polis_argon2id.so").write_bytes(b"an older one")

    done = subprocess.run(
        ["sh", ROOT / "setup" / "native.sh", sys.executable, "identity"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.count("\n") == 1
    assert done.stdout.endswith("there is no C compiler\n")
    assert not (tmp_path / "polis_argon2id.so").exists()
    with pytest.raises(OSError, match="polis_argon2id"):
        argon2id.Native(tmp_path / "polis_argon2id.so")
