"""A bucket admits its burst at once and its rate in the long run."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.gateway.admission import Tiers
from polis.gateway.buckets import Buckets
from polis.proto import Refused
from polis.service import Actor
from polis.service.config import BadSettings


def admitted(buckets: Buckets, key: str, now: float) -> bool:
    try:
        buckets.take(key, now=now)
    except Refused:
        return False
    return True


def test_the_burst_passes_and_the_next_one_is_told_how_long_to_wait():
    buckets = Buckets("test", rate_per_minute=60, burst=5)

    assert all(admitted(buckets, "a", 100.0) for _ in range(5))
    with pytest.raises(Refused) as refusal:
        buckets.take("a", now=100.0)

    assert refusal.value.problem.retry_after_s == pytest.approx(1.0)
    assert admitted(buckets, "a", 101.0)


def test_one_key_does_not_empty_anothers_bucket():
    buckets = Buckets("test", rate_per_minute=60, burst=1)

    assert admitted(buckets, "a", 0.0)
    assert admitted(buckets, "b", 0.0)


@given(st.lists(st.floats(0, 5), max_size=200), st.integers(1, 20), st.integers(1, 600))
def test_it_admits_what_a_bucket_of_tokens_admits(pauses, burst, rate):
    buckets = Buckets("test", rate_per_minute=rate, burst=burst)
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


def test_what_is_left_is_told():
    buckets = Buckets("principal", rate_per_minute=60, burst=5)

    left = buckets.take("a", now=100.0)

    assert left.policy == b'"principal";q=5;w=5'
    assert (left.tokens, left.full_in_s) == (4, pytest.approx(1.0))


def test_a_tier_multiplies_rate_and_burst():
    buckets = Buckets("principal", rate_per_minute=60, burst=5)
    taken = 0
    while admitted_of(buckets, 100.0, tier=3):
        taken += 1

    assert taken == 15
    assert [admitted_of(buckets, 101.0, tier=3) for _ in range(4)] == [True, True, True, False]


def admitted_of(buckets: Buckets, now: float, tier: float) -> bool:
    try:
        buckets.take("a", tier=tier, now=now)
    except Refused:
        return False
    return True


def test_a_tier_is_that_of_the_kind_times_that_of_the_org():
    plan, other = UUID(int=1), UUID(int=2)
    tiers = Tiers(f"agent=2, {plan}=5")

    factors = [
        tiers.of(Actor(plan, kind, org, "member", frozenset()))
        for kind in ("user", "agent")
        for org in (plan, other)
    ]

    assert factors == [5, 1, 10, 2]
    assert Tiers("").of(Actor(plan, "agent", plan, "member", frozenset())) == 1


@pytest.mark.parametrize("text", ["agent", "agent=0", "agents=2", "agent=x"])
def test_a_tier_of_nobody_is_refused(text):
    with pytest.raises(BadSettings, match="POLIS_TIERS"):
        Tiers(text)


def test_whose_bucket_is_full_again_is_forgotten_and_nobody_else():
    """One comes each second and spends all: twenty seconds later the bucket is full."""
    buckets = Buckets("test", rate_per_minute=60, burst=20)
    spent = [f"key {second}" for second in range(1_000)]
    for second, key in enumerate(spent):
        while admitted(buckets, key, second):
            pass

    assert len(buckets._arrivals) <= 512
    assert [admitted(buckets, key, 999.0) for key in spent[-20:]] == [True] * 19 + [False]


@given(
    st.lists(st.tuples(st.sampled_from([0.001, 0.002, 0.02, 0.2]), st.booleans()), min_size=1, max_size=500),
    st.integers(100, 300),
)
def test_two_that_tell_each_other_admit_together_what_one_would(arrivals, burst):
    """What one takes reaches the other 3 ms later: the sum stays within five in a hundred of one bucket's."""
    two = [Buckets("a", rate_per_minute=600, burst=burst) for _ in range(2)]
    one = Buckets("one", rate_per_minute=600, burst=burst)
    on_the_way: list[tuple[float, int, float]] = []
    now = 1000.0
    for side, buckets in enumerate(two):
        buckets.share_with(1)
        buckets.on_taken = lambda _, seconds, to=1 - side: on_the_way.append((now + 0.003, to, seconds))
    together = alone = 0
    for pause, side in arrivals:
        now += pause
        while on_the_way and on_the_way[0][0] <= now:
            _, to, seconds = on_the_way.pop(0)
            two[to].taken_elsewhere("a", seconds, now)
        together += admitted(two[side], "a", now)
        alone += admitted(one, "a", now)

    assert abs(together - alone) <= 0.05 * burst


def test_those_who_arrive_everywhere_at_once_do_not_share_the_last_token_many_times():
    two = [Buckets("a", rate_per_minute=1, burst=100) for _ in range(2)]
    for buckets in two:
        buckets.share_with(1)
    together = sum(admitted(buckets, "a", 1000.0) for _ in range(500) for buckets in two)

    assert together == 100
