"""A bucket admits its burst at once and its rate in the long run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.gateway.buckets import Buckets
from polis.proto import Refused


def admitted(buckets: Buckets, key: str, now: float) -> bool:
    try:
        buckets.take(key, now)
    except Refused:
        return False
    return True


def test_the_burst_passes_and_the_next_one_is_told_how_long_to_wait():
    buckets = Buckets(rate_per_minute=60, burst=5)

    assert all(admitted(buckets, "a", 100.0) for _ in range(5))
    with pytest.raises(Refused) as refusal:
        buckets.take("a", 100.0)

    assert refusal.value.problem.retry_after_s == pytest.approx(1.0)
    assert admitted(buckets, "a", 101.0)


def test_one_key_does_not_empty_anothers_bucket():
    buckets = Buckets(rate_per_minute=60, burst=1)

    assert admitted(buckets, "a", 0.0)
    assert admitted(buckets, "b", 0.0)


@given(st.lists(st.floats(0, 5), max_size=200), st.integers(1, 20), st.integers(1, 600))
def test_it_admits_what_a_bucket_of_tokens_admits(pauses, burst, rate):
    buckets = Buckets(rate_per_minute=rate, burst=burst)
    tokens, now, before = float(burst), 0.0, 0.0
    for pause in pauses:
        now += pause
        tokens = min(float(burst), tokens + (now - before) * rate / 60)
        before = now
        near_the_edge = abs(tokens - round(tokens)) < 1e-6
        if near_the_edge:
            tokens = float(round(tokens))
        expected = tokens >= 1
        if near_the_edge and tokens in (0.0, 1.0):
            tokens -= admitted(buckets, "a", now)
            continue
        assert admitted(buckets, "a", now) == expected
        tokens -= expected
