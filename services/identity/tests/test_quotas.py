"""Quotas: of many who want the last of something one gets it, and what is set aside is settled once."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from polis.db import Database
from polis.identity.access import quotas
from polis.identity.access.quotas import end_of
from polis.identity.sweep import sweep_once
from polis.identity.tokens.keys import utc_now
from polis.proto import Refused
from polis.proto.identity import (
    CreateAgent,
    CreateKey,
    CreateUnit,
    DeleteAgent,
    DeleteUnit,
    ListOrgQuotas,
    ListQuotas,
    OverQuota,
    QuotaNotFound,
    ReleaseUsage,
    RemoveQuota,
    ReserveUsage,
    RevokeKey,
    SetQuota,
    SettleUsage,
    Subject,
    SubjectNotFound,
)
from polis.proto.problems import Forbidden, Invalid

ORG = Subject("org")


class Runtime:
    """A service that spends for a principal of an org."""

    def __init__(self, caller, org_id, principal_id):
        self.call, self.org_id, self.principal_id = caller.call, org_id, principal_id

    async def reserve(self, amount, *, meter="tokens", reservation_id=None, **more):
        reservation_id = reservation_id or uuid4()
        await self.call(ReserveUsage(self.org_id, reservation_id, self.principal_id, meter, amount, **more))
        return reservation_id

    async def settle(self, reservation_id, used):
        await self.call(SettleUsage(self.org_id, reservation_id, used))


@pytest.fixture
async def runtime(ada, as_service):
    return Runtime(await as_service("runtime"), ada.org_id, ada.id)


async def use_of(person, quota):
    quota = next(q for q in (await person.call(ListQuotas())).items if q.id == quota.id)
    return quota.used, quota.reserved


async def test_what_is_set_aside_is_settled_once_at_what_was_used(ada, runtime):
    quota = await ada.call(SetQuota(ORG, "tokens", "day", 100))

    reservation = await runtime.reserve(60)
    assert await use_of(ada, quota) == (0, 60)
    for _ in range(2):
        await runtime.settle(reservation, 25)

    assert await use_of(ada, quota) == (25, 0)
    await runtime.settle(await runtime.reserve(10), 200)
    assert await use_of(ada, quota) == (225, 0)


async def test_the_tightest_quota_that_applies_refuses_and_nothing_is_set_aside(ada, runtime, refused):
    wide = await ada.call(SetQuota(ORG, "tokens", "day", 100))
    tight = await ada.call(SetQuota(Subject("principal", ada.id), "tokens", "total", 50))
    await runtime.reserve(30)

    problem = await refused(runtime.reserve(30))

    assert problem == OverQuota(
        quota_id=tight.id, meter="tokens", period="total", most=50, left=20, resets_at=None
    )
    assert await use_of(ada, wide) == (0, 30)
    assert await runtime.reserve(1_000, meter="messages")


async def test_what_bounds_whom_a_principal_acts_for_applies_too(ada, runtime, refused):
    quota = await ada.call(SetQuota(Subject("principal", ada.id), "runs", "day", 1))
    agent = (await ada.call(CreateAgent(key="deputy", name="Deputy"))).agent
    deputy = Runtime(runtime, ada.org_id, agent.id)

    await deputy.reserve(1, meter="runs", behalf_id=ada.id)
    assert (await refused(deputy.reserve(1, meter="runs", behalf_id=ada.id))).quota_id == quota.id
    assert await deputy.reserve(1, meter="runs")


async def test_of_many_at_once_as_many_get_something_as_there_is(ada, runtime):
    quota = await ada.call(SetQuota(ORG, "runs", "day", 7))
    also = await ada.call(SetQuota(Subject("principal", ada.id), "runs", "month", 12))

    outcomes = await asyncio.gather(
        *(runtime.reserve(1, meter="runs") for _ in range(30)), return_exceptions=True
    )

    assert sum(isinstance(outcome, UUID) for outcome in outcomes) == 7
    assert {type(o.problem) for o in outcomes if isinstance(o, Refused)} == {OverQuota}
    assert await use_of(ada, quota) == await use_of(ada, also) == (0, 7)


async def test_the_books_balance_whatever_is_reserved_and_settled_in_which_order(ada, runtime, refused):
    """Against a model: no sequence of reservations and settlements overruns the bound or loses count."""
    dice = random.Random(7)
    quota = await ada.call(SetQuota(ORG, "money", "month", 1_000))
    used, open_ = 0, {}
    for _ in range(60):
        if open_ and dice.random() < 0.5:
            reservation = dice.choice(list(open_))
            amount = dice.randint(0, open_.pop(reservation))
            await runtime.settle(reservation, amount)
            used += amount
        else:
            amount = dice.randint(0, 300)
            left = 1_000 - used - sum(open_.values())
            if amount > left:
                assert (await refused(runtime.reserve(amount, meter="money"))).left == left
            else:
                open_[await runtime.reserve(amount, meter="money")] = amount

    assert await use_of(ada, quota) == (used, sum(open_.values()))


async def test_the_same_reservation_again_is_the_same_also_when_it_was_settled(ada, runtime):
    quota = await ada.call(SetQuota(ORG, "tokens", "day", 100))
    reservation = uuid4()

    await asyncio.gather(*(runtime.reserve(40, reservation_id=reservation) for _ in range(5)))
    assert await use_of(ada, quota) == (0, 40)
    await runtime.settle(reservation, 5)
    await runtime.reserve(40, reservation_id=reservation)

    assert await use_of(ada, quota) == (5, 0)


async def test_a_reservation_that_nobody_settles_counts_as_used(ada, runtime, app_url, rows):
    quota = await ada.call(SetQuota(ORG, "tokens", "day", 100))
    reservation = await runtime.reserve(40)
    await rows("update identity.reservations set expires_at = now() where id = $1", reservation)

    database = await Database.open(app_url, service="identity", size=1)
    await sweep_once(database, utc_now())
    await database.close()

    assert await use_of(ada, quota) == (40, 0)
    await runtime.settle(reservation, 1)
    assert await use_of(ada, quota) == (40, 0)


async def test_units_and_keys_bound_what_is_done_in_and_by_them(ada, runtime, refused):
    project = await ada.call(CreateUnit("project", "city", "City"))
    service = await ada.call(CreateUnit("service", "bus", "Bus", project.id))
    agent = (await ada.call(CreateAgent("driver", "Driver", unit_id=service.id))).agent
    key = (await ada.call(CreateKey("ci", ("catalog:read",)))).key
    of_unit = await ada.call(SetQuota(Subject("unit", project.id), "requests", "hour", 5))
    of_key = await ada.call(SetQuota(Subject("key", key.id), "requests", "hour", 3))

    await runtime.reserve(9, meter="requests")
    assert (await refused(runtime.reserve(4, meter="requests", key_id=key.id))).quota_id == of_key.id
    runtime.principal_id = agent.id
    await runtime.reserve(5, meter="requests")
    assert (await refused(runtime.reserve(1, meter="requests"))).quota_id == of_unit.id


async def test_a_new_period_begins_with_nothing_used(ada, runtime, rows):
    quota = await ada.call(SetQuota(ORG, "tokens", "day", 10))
    await runtime.settle(await runtime.reserve(10), 10)
    await rows(
        "update identity.usages set starts_at = starts_at - interval '1 day' where quota_id = $1", quota.id
    )

    assert await runtime.reserve(10)
    assert await use_of(ada, quota) == (0, 10)


async def test_what_is_deleted_is_given_back_once_and_only_where_no_period_begins_anew(ada, runtime):
    total = await ada.call(SetQuota(ORG, "storage", "total", 100))
    daily = await ada.call(SetQuota(ORG, "storage", "day", 100))
    await runtime.settle(await runtime.reserve(80, meter="storage"), 80)
    release = ReleaseUsage(ada.org_id, uuid4(), ada.id, "storage", 30)

    for _ in range(2):
        await runtime.call(release)

    assert await use_of(ada, total) == (50, 0)
    assert await use_of(ada, daily) == (80, 0)
    await runtime.call(ReleaseUsage(ada.org_id, uuid4(), ada.id, "storage", 500))
    assert await use_of(ada, total) == (0, 0)


async def test_quotas_are_set_by_who_may_on_what_the_org_has(ada, ben, join, refused, facts):
    cem = await join(ada, "member")
    quota = await ada.call(SetQuota(ORG, "tokens", "day", 10))
    changed = await ada.call(SetQuota(ORG, "tokens", "day", 20))

    assert (changed.id, changed.most) == (quota.id, 20)
    assert await refused(cem.call(SetQuota(ORG, "tokens", "day", 99))) == Forbidden(scope="identity:quotas")
    imposed = SetQuota(ORG, "tokens", "day", 99, imposed=True)
    assert await refused(ada.call(imposed)) == Forbidden(scope="identity:limits")
    assert (await cem.call(ListQuotas())).items == (changed,)
    for subject in (Subject("principal", ben.id), Subject("unit", uuid4()), Subject("key", ada.id)):
        problem = await refused(ada.call(SetQuota(subject, "tokens", "day", 1)))
        assert problem == SubjectNotFound(subject=subject)
    for subject in (Subject("org", ada.id), Subject("unit")):
        assert isinstance(await refused(ada.call(SetQuota(subject, "tokens", "day", 1))), Invalid)
    assert await refused(ben.call(RemoveQuota(quota.id))) == QuotaNotFound(quota_id=quota.id)
    assert [fact["most"] for fact in await facts(ada.org_id, "quota_set")] == [10, 20]


async def test_an_imposed_quota_is_not_lifted_by_the_org(ada, rows, refused):
    quota = await ada.call(SetQuota(ORG, "tokens", "day", 10))
    await rows("update identity.quotas set imposed = true where id = $1", quota.id)

    assert await refused(ada.call(RemoveQuota(quota.id))) == Forbidden(scope="identity:limits")
    beside = await ada.call(SetQuota(ORG, "tokens", "day", 5))
    assert beside.id != quota.id


async def test_quotas_end_with_what_they_bound(ada):
    agent = (await ada.call(CreateAgent("sarah", "Sarah"))).agent
    unit = await ada.call(CreateUnit("project", "city", "City"))
    key = (await ada.call(CreateKey("ci", ("catalog:read",)))).key
    for kind, subject_id in (("principal", agent.id), ("unit", unit.id), ("key", key.id)):
        await ada.call(SetQuota(Subject(kind, subject_id), "tokens", "day", 1))

    for request in (DeleteAgent("sarah"), DeleteUnit(unit.id), RevokeKey(key.id)):
        await ada.call(request)

    assert (await ada.call(ListQuotas())).items == ()


def test_periods_end_where_the_next_begins():
    start = datetime(2028, 1, 1, tzinfo=UTC)

    assert end_of("month", start) == datetime(2028, 2, 1, tzinfo=UTC)
    assert end_of("month", datetime(2028, 2, 1, tzinfo=UTC)) == datetime(2028, 3, 1, tzinfo=UTC)
    assert end_of("month", datetime(2028, 12, 1, tzinfo=UTC)) == datetime(2029, 1, 1, tzinfo=UTC)
    assert end_of("hour", start) == start + timedelta(hours=1)
    assert end_of("total", start) is None


async def test_a_reservation_tells_what_the_tightest_quota_leaves(ada, runtime):
    asked = ReserveUsage(ada.org_id, uuid4(), ada.id, "tokens", 20)
    assert (await runtime.call(msgspec.structs.replace(asked, reservation_id=uuid4()))).left is None
    await ada.call(SetQuota(ORG, "tokens", "day", 100))
    await ada.call(SetQuota(Subject("principal", ada.id), "tokens", "total", 50))

    assert (await runtime.call(asked)).left == 30
    assert (await runtime.call(asked)).left is None


async def test_which_orgs_have_a_quota_of_a_meter_is_told_to_the_gateway_page_by_page(
    ada, ben, as_service, refused, monkeypatch
):
    monkeypatch.setattr(quotas, "METER_PAGE", 2)
    gateway = await as_service("gateway")
    made = [
        await person.call(SetQuota(ORG, "requests", period, 9))
        for person in (ada, ben)
        for period in ("day", "month")
    ]
    await ada.call(SetQuota(ORG, "tokens", "day", 9))

    found, page = {}, ListOrgQuotas("requests")
    while True:
        told = await gateway.call(page)
        assert len(told.quotas) <= 2
        found |= {quota.quota_id: quota.org_id for quota in told.quotas}
        if told.next_after is None:
            break
        page = ListOrgQuotas("requests", after=told.next_after)

    assert found.items() >= {quota.id: quota.org_id for quota in made}.items()
    assert not any(
        quota.id in found for quota in (await ada.call(ListQuotas())).items if quota.meter != "requests"
    )
    assert await refused(ada.call(ListOrgQuotas("requests"))) == Forbidden(scope="internal")
