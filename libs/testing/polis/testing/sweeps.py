"""Sweeps: what holds of each of very many things and is looked at in no time, for which a test each would cost more than the look."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def sweep(
    things: Iterable[T], name: Callable[[T], str]
) -> Callable[[Callable[[T], None]], Callable[[], None]]:
    """Make one test of a check of each thing; all that fail are raised together, each with the name of its thing."""
    listed = list(things)

    def of(check: Callable[[T], None]) -> Callable[[], None]:
        def test() -> None:
            if not listed:
                raise AssertionError("there is nothing to look at")
            faults = [fault for each in listed if (fault := _fault(check, each, name)) is not None]
            if faults:
                raise ExceptionGroup(f"{len(faults)} of {len(listed)}", faults)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        test.__module__, test.__qualname__ = check.__module__, check.__qualname__
        return test

    return of


def _fault(check: Callable[[T], None], thing: T, name: Callable[[T], str]) -> Exception | None:
    try:
        check(thing)
    except Exception as fault:  # noqa: BLE001 - it is raised with the others
        fault.add_note(f"of {name(thing)}")
        return fault
    return None
