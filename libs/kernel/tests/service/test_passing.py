"""What is over is forgotten as others come."""

from __future__ import annotations

import operator

from polis.service.passing import Passing


def test_of_many_who_come_once_as_many_stay_as_were_about_lately():
    """A thousand are about at any time, of twenty thousand in all."""
    about: Passing[int, float] = Passing(operator.le, most=1_000_000)
    held = []
    for at in range(20_000):
        about.keep(at, at + 1_000.0, at)
        held.append(len(about))

    assert max(held) <= 2 * 1_000 + 1
    assert set(range(19_000, 20_000)) <= about.keys()


def test_where_more_are_of_use_than_may_be_the_oldest_go():
    about: Passing[int, float] = Passing(operator.le, most=100)
    for number in range(1_000):
        about.keep(number, 5_000.0, 0.0)
        about.keep(0, 5_000.0, 0.0)

        assert len(about) <= 101
        assert number in about


def test_who_comes_again_takes_no_room_from_others():
    about: Passing[int, float] = Passing(operator.le, most=10)
    for number in range(10):
        about.keep(number, 5_000.0, 0.0)

    about.keep(3, 6_000.0, 0.0)

    assert dict(about) == dict.fromkeys(range(10), 5000.0) | {3: 6_000.0}
