"""The engine's seeded simulations, far more of them than each change can wait for. A failing seed is printed, and kept in KEPT."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "services/runtime/tests"
FIRST, FEW, MANY, PART = 100_000, 10, 10_000, 1_000
"""Seeds: where they begin, how many of them there are at the small size and at the full one, and in one test of that."""
TOO_LARGE = {102_020}
"""A run of so many messages that it comes to its end in minutes at best; nothing is wrong with it otherwise."""


def scenes(name: str):
    """A module of the runtime's tests."""
    spec = importlib.util.spec_from_file_location(f"simulated_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def pytest_generate_tests(metafunc):
    """Parts that come to their end in time, and of which one can be run alone."""
    full = metafunc.config.getoption("--chaos") == "full"
    parts = [range(seed, seed + PART) for seed in range(FIRST, FIRST + MANY, PART)]
    metafunc.parametrize("seeds", parts if full else [range(FIRST, FIRST + FEW)], ids=lambda part: part.start)


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("test_simulation", "test_a_run_ends_once_with_the_one_right_result_whatever_happens"),
        ("test_simulation", "test_nothing_is_committed_after_a_cancel_and_the_run_stays_cancelled"),
        ("test_merges", "test_what_came_together_in_time_comes_together_again_after_a_crash"),
        ("test_undoing", "test_what_took_effect_is_undone_once_in_the_reverse_order_when_the_run_fails"),
        (
            "test_undoing",
            "test_what_took_effect_is_undone_when_the_run_is_cancelled_and_nothing_takes_effect_afterwards",
        ),
    ],
)
@pytest.mark.timeout(7200)
def test_no_seed_breaks_a_promise(full, name, test, seeds):
    module = scenes(name)
    check = getattr(module, test)
    long = getattr(module, "LONG", ()) if full and seeds.start == FIRST else ()

    for seed in (*long, *seeds):
        if seed in TOO_LARGE:
            continue
        try:
            check(seed)
        except Exception as error:
            raise AssertionError(f"{test}[{seed}]") from error
