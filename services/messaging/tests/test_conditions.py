"""A conversation that cannot be is not stored, whoever writes it."""

from __future__ import annotations

import asyncpg
import pytest

_INSERT = """
    insert into messaging.conversations (org_id, id, kind, name, topic, visibility, data_class, first_id, second_id,
        created_by, responsible_id, created_at, head_seq, last_at, retention_days)
    select id, id, $1, '', '', $2, 'internal', $3, $4, id, id, now(), 0, now(), $5 from gen_random_uuid() id
"""
LOW, HIGH = f"{0:032x}", f"{1:032x}"


@pytest.fixture
async def admin(postgres):
    async with postgres.database() as database:
        connection = await asyncpg.connect(database.admin_url)
        yield connection
        await connection.close()


@pytest.mark.parametrize(
    "row",
    [
        ("crowd", "private", None, None, None),
        ("group", "public", None, None, None),
        ("group", "private", None, None, -1),
        ("group", "private", LOW, HIGH, None),
        ("direct", "private", None, None, None),
        ("direct", "private", HIGH, LOW, None),
    ],
)
async def test_it_is_refused_when_it_is_made_and_when_it_is_changed(admin, row):
    await admin.execute(_INSERT, "group", "private", None, None, 30)

    with pytest.raises(asyncpg.CheckViolationError):
        await admin.execute(_INSERT, *row)
    with pytest.raises(asyncpg.CheckViolationError):
        await admin.execute(
            """
            update messaging.conversations
            set kind = $1, visibility = $2, first_id = $3, second_id = $4, retention_days = $5
            """,
            *row,
        )


async def test_two_who_are_ordered_may_talk(admin):
    await admin.execute(_INSERT, "direct", "private", LOW, HIGH, None)

    assert await admin.fetchval("select count(*) from messaging.conversations") == 1
