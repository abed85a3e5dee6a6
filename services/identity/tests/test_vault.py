"""The vault: who learns what of a secret, and what lies in the database."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import NamedTuple
from uuid import UUID, uuid4

import msgspec
import pytest

from polis.db import Database
from polis.identity.tokens.keys import utc_now
from polis.identity.vault import envelope, rewrap, rows
from polis.identity.vault.cipher import Place, Ring, ring_of
from polis.proto import identity
from polis.proto.contract import INTERNAL, operations
from polis.proto.identity import (
    CloseSecret,
    CreateSecret,
    DeleteSecret,
    GetSecret,
    LeaseSecret,
    ListAudit,
    ListSecrets,
    MakeNotificationSecret,
    OpenSecret,
    RemoveMember,
    RotateSecret,
    SecretClosed,
    SecretNameTaken,
    SecretNotFound,
    SecretUnreadable,
    TooManySecrets,
    UpdateSecret,
    WrongPassphrase,
)
from polis.proto.problems import Forbidden, Invalid, Overloaded
from polis.service import Secret
from polis.service.config import BadSettings

VALUE = "canary-value-of-a-secret"
PASSPHRASE = "canary passphrase"
FIRST, SECOND = os.urandom(32), os.urandom(32)


class Kept(NamedTuple):
    """Where a secret is that one knows no more of."""

    org_id: UUID
    id: UUID


@pytest.fixture
async def runtime(as_service):
    return await as_service("runtime")


@pytest.fixture
def lease(runtime):
    """What the runtime gets for somebody."""

    async def lease(person, secret, *, org_id=None, by=runtime):
        return await by.call(LeaseSecret(org_id or secret.org_id, secret.id, person.id))

    return lease


@pytest.fixture
def keep():
    async def keep(person, **more):
        given = {"name": f"s-{uuid4().hex}", "value": VALUE, "used_by": ("runtime",)} | more
        return await person.call(CreateSecret(**given))

    return keep


@pytest.fixture
async def sealed(ada, keep):
    return await keep(ada, protection="sealed", passphrase=PASSPHRASE)


class TestOperations:
    async def test_a_service_that_a_secret_names_gets_it_for_a_minute(self, ada, keep, lease):
        secret = await keep(ada)

        leased = await lease(ada, secret)

        assert (leased.value, leased.version) == (VALUE, 1)
        assert 50 < (leased.until - utc_now()).total_seconds() <= 60

    async def test_who_made_it_says_anew_how_it_is_called_and_who_gets_it(
        self, ada, keep, lease, refused, facts
    ):
        secret, other = await keep(ada), await keep(ada)

        changed = await ada.call(UpdateSecret(secret.id, f"{secret.name}.old", ()))

        assert changed == await ada.call(GetSecret(secret.id))
        assert (changed.name, changed.used_by) == (f"{secret.name}.old", ())
        assert await refused(lease(ada, secret)) == SecretNotFound(secret.id)
        await ada.call(UpdateSecret(secret.id, used_by=("runtime",)))
        await ada.call(UpdateSecret(secret.id))
        assert (await lease(ada, secret)).value == VALUE
        assert (await ada.call(GetSecret(secret.id))).name == f"{secret.name}.old"
        taken = await refused(ada.call(UpdateSecret(secret.id, other.name)))
        assert taken == SecretNameTaken(name=other.name)
        assert isinstance(await refused(ada.call(UpdateSecret(secret.id, used_by=("logging",)))), Invalid)
        told = [event["used_by"] for event in await facts(ada.org_id, "secret_updated")]
        assert told == [[], ["runtime"]]
        log = [r.detail for r in (await ada.call(ListAudit(limit=200))).items if r.action == "secret.updated"]
        assert sorted(d["used_by"] for d in log) == ["", "runtime"]

    async def test_a_secret_says_where_it_may_be_sent_and_the_lease_repeats_it(
        self, ada, keep, lease, refused
    ):
        secret = await keep(ada, hosts=("mail.example:993", "*.api.example"))

        assert secret.hosts == ("*.api.example", "mail.example:993")
        assert (await lease(ada, secret)).hosts == secret.hosts
        assert (await ada.call(UpdateSecret(secret.id, "another.name"))).hosts == secret.hosts
        assert (await ada.call(UpdateSecret(secret.id, hosts=("[::1]:8080",)))).hosts == ("[::1]:8080",)
        assert (await lease(ada, secret)).hosts == ("[::1]:8080",)
        wrong = await refused(ada.call(UpdateSecret(secret.id, hosts=("https://api.example",))))
        assert [fault.pointer for fault in wrong.faults] == ["/hosts/0"]

    async def test_who_keeps_no_secrets_has_one_for_their_notifications_however_many_the_org_has(
        self, ada, ben, join, keep, lease, refused, monkeypatch
    ):
        cem = await join(ada, "viewer")
        held = len((await ada.call(ListSecrets())).items)
        monkeypatch.setattr(rows, "SECRETS", held)

        made = await cem.call(MakeNotificationSecret("hooks.example"))
        leased = await lease(cem, Kept(ada.org_id, made.secret_id))
        moved = await cem.call(MakeNotificationSecret("elsewhere.example"))
        again = await lease(cem, Kept(ada.org_id, moved.secret_id))

        assert (leased.value, leased.hosts) == (made.value, ("hooks.example",))
        assert (again.secret_id, again.value, again.hosts) == (
            made.secret_id,
            moved.value,
            ("elsewhere.example",),
        )
        assert moved.value != made.value
        assert made.value not in repr(made)
        not_theirs = await refused(lease(ada, Kept(ada.org_id, made.secret_id)))
        assert not_theirs == SecretNotFound(made.secret_id)
        assert await refused(keep(cem)) == Forbidden(scope="identity:secrets")
        assert await refused(keep(ada)) == TooManySecrets(most=held)
        monkeypatch.setattr(rows, "SECRETS", held + 1)
        await keep(ada)
        assert len((await ada.call(ListSecrets())).items) == held + 1  # nor does it count among the org's

    async def test_others_change_a_secret_only_if_it_is_the_orgs_and_they_manage_it(
        self, ada, ben, join, keep, refused
    ):
        cem = await join(ada, "member")
        of_org, own = await keep(cem), await keep(cem, protection="personal")
        shared = await keep(ada)

        assert (await ada.call(UpdateSecret(of_org.id, used_by=()))).used_by == ()
        assert await refused(ada.call(UpdateSecret(own.id, used_by=()))) == SecretNotFound(own.id)
        assert await refused(cem.call(UpdateSecret(shared.id, used_by=()))) == Forbidden(
            scope="identity:members"
        )
        assert await refused(ben.call(UpdateSecret(shared.id, used_by=()))) == SecretNotFound(shared.id)

    async def test_who_made_a_secret_does_not_say_where_a_value_of_somebody_else_goes(
        self, ada, join, keep, refused
    ):
        """Else a member makes one, an admin gives it its value, and the member has that sent to a host of its own."""
        cem = await join(ada, "member")
        made = await keep(cem)
        await ada.call(RotateSecret(made.id, "of the admin"))

        elsewhere = UpdateSecret(made.id, hosts=("evil.example",))
        assert await refused(cem.call(elsewhere)) == Forbidden(scope="identity:members")
        assert (await ada.call(elsewhere)).hosts == ("evil.example",)
        await cem.call(RotateSecret(made.id, "of the maker"))
        assert (await cem.call(UpdateSecret(made.id, hosts=()))).hosts == ()

    async def test_people_see_everything_but_the_value(self, ada, keep):
        secret = await keep(ada)
        seen = [
            secret,
            await ada.call(GetSecret(secret.id)),
            await ada.call(ListSecrets()),
            await ada.call(RotateSecret(secret.id, VALUE + "2")),
            await ada.call(ListAudit()),
        ]

        assert VALUE not in msgspec.json.encode(seen).decode()

    def test_a_value_leaves_by_no_operation_that_has_a_route(self):
        """Whatever is answered over HTTP, to a browser or a model, has no field that holds a value."""
        giving = [o for o in operations("identity") if o.answer is identity.SecretLease]

        assert [(o.name, o.path, o.scope) for o in giving] == [("lease_secret", None, INTERNAL)]
        assert "value" not in identity.Secret.__struct_fields__

    async def test_nobody_else_gets_it(self, ada, ben, keep, as_service, lease, refused, rows):
        secret = await keep(ada)
        hidden = SecretNotFound(secret.id)

        assert await refused(ada.call(LeaseSecret(ada.org_id, secret.id, ada.id))) == Forbidden(
            scope=INTERNAL
        )
        assert await refused(lease(ada, secret, by=await as_service("catalog"))) == Forbidden(scope=INTERNAL)
        assert await refused(lease(ben, secret)) == hidden
        assert await refused(lease(ben, secret, org_id=ben.org_id)) == hidden
        assert await refused(ben.call(GetSecret(secret.id))) == hidden
        await rows("update identity.secrets set used_by = '{catalog}' where id = $1", secret.id)
        assert await refused(lease(ada, secret)) == hidden

    async def test_a_secret_names_services_that_ask_for_secrets(self, ada, keep, refused):
        for used_by in (("gateway",), ("runtime", "nobody")):
            assert isinstance(await refused(keep(ada, used_by=used_by)), Invalid)

    async def test_a_rotated_secret_is_leased_with_its_new_value(self, ada, keep, lease):
        secret = await keep(ada)

        rotated = await ada.call(RotateSecret(secret.id, "other"))

        assert ((await lease(ada, secret)).value, rotated.version) == ("other", 2)

    async def test_a_deleted_secret_is_gone_with_its_values(self, ada, keep, lease, refused, rows):
        secret = await keep(ada)

        await ada.call(DeleteSecret(secret.id))

        assert await refused(lease(ada, secret)) == SecretNotFound(secret.id)
        assert await rows("select from identity.secret_values where secret_id = $1", secret.id) == []

    async def test_a_name_is_taken_once_in_the_org_and_once_by_each_owner(self, ada, join, keep, refused):
        member = await join(ada, "member")
        for person, more in (
            (ada, {}),
            (ada, {"protection": "personal"}),
            (member, {"protection": "personal"}),
        ):
            await keep(person, name="smtp.password", **more)

        assert await refused(keep(member, name="smtp.password")) == SecretNameTaken("smtp.password")

    async def test_a_personal_secret_serves_its_owner_alone(self, ada, join, keep, lease, refused):
        member = await join(ada, "member")
        secret = await keep(member, protection="personal")

        assert (await lease(member, secret)).value == VALUE
        assert await refused(lease(ada, secret)) == SecretNotFound(secret.id)
        assert await refused(ada.call(GetSecret(secret.id))) == SecretNotFound(secret.id)
        assert secret.id not in {s.id for s in (await ada.call(ListSecrets())).items}
        assert await refused(ada.call(RotateSecret(secret.id, "x"))) == SecretNotFound(secret.id)
        assert await ada.call(DeleteSecret(secret.id)) is None

    async def test_who_left_the_org_is_served_no_more(self, ada, join, keep, lease, refused):
        member = await join(ada, "member")
        secret = await keep(ada)
        await lease(member, secret)
        await ada.call(RemoveMember(member.id))

        assert await refused(lease(member, secret)) == SecretNotFound(secret.id)

    async def test_what_was_ones_own_goes_with_one(self, ada, join, keep, rows, facts):
        member = await join(ada, "member")
        mine, orgs = await keep(member, protection="personal"), await keep(member)

        await ada.call(RemoveMember(member.id))

        left = await rows("select id from identity.secrets where org_id = $1", ada.org_id)
        assert [row["id"] for row in left] == [orgs.id]
        assert [fact["entry_id"] for fact in await facts(ada.org_id, "secret_deleted")] == [str(mine.id)]

    async def test_what_is_done_with_a_secret_is_in_the_audit_log(self, ada, keep, lease):
        secret = await keep(ada)
        await lease(ada, secret)
        await ada.call(RotateSecret(secret.id, "other"))
        await ada.call(DeleteSecret(secret.id))

        told = [t for t in (await ada.call(ListAudit())).items if t.subject == str(secret.id)]
        assert [t.action for t in reversed(told)] == [
            "secret.created", "secret.leased", "secret.rotated", "secret.deleted",
        ]  # fmt: skip
        assert told[2].detail == {"name": secret.name, "service": "runtime", "version": "1"}


class TestSealed:
    async def test_it_is_leased_only_while_its_owner_has_opened_it(self, ada, sealed, lease, refused):
        assert await refused(lease(ada, sealed)) == SecretClosed(sealed.id)

        opened = await ada.call(OpenSecret(sealed.id, PASSPHRASE, for_s=30))
        leased = await lease(ada, sealed)
        await ada.call(CloseSecret(sealed.id))

        assert leased.value == VALUE
        assert leased.until == opened.open_until
        assert await refused(lease(ada, sealed)) == SecretClosed(sealed.id)

    async def test_an_opening_ends_by_itself(self, ada, sealed, lease, refused, rows):
        await ada.call(OpenSecret(sealed.id, PASSPHRASE))
        await rows("update identity.secret_openings set until = now() where secret_id = $1", sealed.id)

        assert await refused(lease(ada, sealed)) == SecretClosed(sealed.id)
        assert (await ada.call(GetSecret(sealed.id))).open_until is None

    async def test_an_opening_is_not_prolonged_by_who_writes_to_the_database(
        self, ada, sealed, lease, refused, rows
    ):
        await ada.call(OpenSecret(sealed.id, PASSPHRASE))
        await rows(
            "update identity.secret_openings set until = until + interval '1 day' where secret_id = $1",
            sealed.id,
        )

        assert await refused(lease(ada, sealed)) == SecretUnreadable(sealed.id)

    async def test_wrong_passphrases_are_few(self, ada, sealed, refused):
        tries = [ada.call(OpenSecret(sealed.id, f"wrong {n}")) for n in range(rows.TRIES + 3)]
        problems = [await refused(call) for call in tries]

        assert problems[: rows.TRIES] == [WrongPassphrase()] * rows.TRIES
        assert all(isinstance(problem, Overloaded) for problem in problems[rows.TRIES :])
        assert isinstance(await refused(ada.call(OpenSecret(sealed.id, PASSPHRASE))), Overloaded)

    async def test_tries_at_once_are_counted_like_tries_in_a_row(self, ada, sealed, refused):
        problems = await asyncio.gather(
            *(refused(ada.call(OpenSecret(sealed.id, f"wrong {n}"))) for n in range(12))
        )

        assert sum(problem == WrongPassphrase() for problem in problems) == rows.TRIES

    async def test_a_right_passphrase_forgets_the_wrong_ones(self, ada, sealed, refused):
        for _ in range(2):
            for _ in range(rows.TRIES - 1):
                assert await refused(ada.call(OpenSecret(sealed.id, "wrong"))) == WrongPassphrase()
            assert (await ada.call(OpenSecret(sealed.id, PASSPHRASE))).open_until

    async def test_only_its_owner_opens_it(self, ada, join, sealed, refused):
        admin = await join(ada, "admin")

        assert await refused(admin.call(OpenSecret(sealed.id, PASSPHRASE))) == SecretNotFound(sealed.id)

    async def test_another_value_is_sealed_with_another_passphrase_and_closed(
        self, ada, sealed, lease, refused
    ):
        await ada.call(OpenSecret(sealed.id, PASSPHRASE))
        assert isinstance(await refused(ada.call(RotateSecret(sealed.id, "other"))), Invalid)

        await ada.call(RotateSecret(sealed.id, "other", "another passphrase"))

        assert await refused(lease(ada, sealed)) == SecretClosed(sealed.id)
        assert await refused(ada.call(OpenSecret(sealed.id, PASSPHRASE))) == WrongPassphrase()
        await ada.call(OpenSecret(sealed.id, "another passphrase"))
        assert (await lease(ada, sealed)).value == "other"

    async def test_a_passphrase_goes_with_sealed_secrets_alone(self, ada, keep, refused):
        assert isinstance(await refused(keep(ada, protection="sealed")), Invalid)
        assert isinstance(await refused(keep(ada, passphrase=PASSPHRASE)), Invalid)

    async def test_root_keys_and_rows_together_do_not_open_it(self, sealed, app_url, running):
        database = await Database.open(app_url, service="identity", size=1)
        found = await rows.stored(database.tenant(sealed.org_id), sealed.org_id, sealed.id)
        await database.close()

        with pytest.raises(envelope.Unreadable):
            envelope.read(ring_of(running.kernel.settings), found.envelope)


TO_ANOTHER_ORG = """
    update identity.secret_values v set sealed = o.sealed, data_key = o.data_key
    from identity.secret_values o where v.secret_id = $1 and o.secret_id = $2
"""
VALUE_ALONE = """
    update identity.secret_values v set sealed = o.sealed
    from identity.secret_values o where v.secret_id = $1 and o.secret_id = $2
"""
KEY_ALONE = """
    update identity.secret_values v set data_key = o.data_key
    from identity.secret_values o where v.secret_id = $1 and o.secret_id = $2
"""


class TestSwappedRows:
    @pytest.mark.parametrize("swap", [TO_ANOTHER_ORG, VALUE_ALONE, KEY_ALONE])
    @pytest.mark.parametrize("foreign", [True, False])
    async def test_what_is_of_another_secret_does_not_open(
        self, ada, ben, keep, lease, refused, rows, swap, foreign
    ):
        mine, other = await keep(ada), await keep(ben if foreign else ada)

        await rows(swap, mine.id, other.id)

        assert await refused(lease(ada, mine)) == SecretUnreadable(mine.id)

    async def test_a_row_moved_to_another_org_does_not_open(self, ada, ben, keep, lease, refused, rows):
        secret = await keep(ada)
        await rows(
            """
            with moved as (
                insert into identity.secrets (org_id, id, name, protection, used_by, version, created_by, created_at)
                select $2, id, name, protection, used_by, version, created_by, created_at
                from identity.secrets where id = $1
            )
            select
            """,
            secret.id,
            ben.org_id,
        )
        await rows(
            "update identity.secret_values set org_id = $2 where secret_id = $1", secret.id, ben.org_id
        )

        assert await refused(lease(ben, secret, org_id=ben.org_id)) == SecretUnreadable(secret.id)

    async def test_an_older_version_does_not_pass_for_the_present_one(self, ada, keep, lease, refused, rows):
        secret = await keep(ada)
        await ada.call(RotateSecret(secret.id, "new"))
        await rows(
            """
            update identity.secret_values v set sealed = o.sealed, data_key = o.data_key
            from identity.secret_values o
            where v.secret_id = $1 and o.secret_id = $1 and v.version = 2 and o.version = 1
            """,
            secret.id,
        )

        assert await refused(lease(ada, secret)) == SecretUnreadable(secret.id)

    @pytest.mark.parametrize("column", ["sealed", "data_key"])
    async def test_a_changed_byte_is_noticed(self, ada, keep, lease, refused, rows, column):
        secret = await keep(ada)
        await rows(
            f"update identity.secret_values set {column} = set_byte({column}, 20, get_byte({column}, 20) # 1) "
            "where secret_id = $1",
            secret.id,
        )

        assert await refused(lease(ada, secret)) == SecretUnreadable(secret.id)


class TestRootKeys:
    @pytest.fixture
    async def database(self, app_url):
        database = await Database.open(app_url, service="identity", size=4)
        yield database
        await database.close()

    def test_they_are_named_lines_of_which_the_first_is_current(self, running):
        config = running.kernel.settings
        lines = f"{line('new', SECOND)}\n{line('old', FIRST)}\n"

        ring = ring_of(msgspec.structs.replace(config, vault_keys=Secret(lines)))

        assert (ring.current, ring.names) == ("new", ("new", "old", "mesh"))
        assert ring_of(config).current == "mesh"

    @pytest.mark.parametrize("bad", ["x", "x:", "x:AAAA", "mesh:" + "A" * 43 + "=", "X:" + "A" * 43 + "="])
    def test_what_is_no_key_is_told_at_the_start(self, running, bad):
        with pytest.raises(BadSettings, match="POLIS_VAULT_KEYS"):
            ring_of(msgspec.structs.replace(running.kernel.settings, vault_keys=Secret(bad)))

    async def test_no_read_fails_while_values_rotate_and_root_keys_change(self, ada, keep, database):
        """Everything at once: readers, rotations, and two replicas that rewrap in opposite directions."""
        keys = {"old": FIRST, "new": SECOND}
        secret, ring = await keep(ada), Ring(keys, "old")
        place = Place(secret.org_id, secret.id, 2)
        await rotate(database, await envelope.close(ring, None, place, "2", None))
        reads, over = 0, asyncio.Event()

        async def reader():
            nonlocal reads
            while not over.is_set():
                found = await rows.stored(database.tenant(secret.org_id), secret.org_id, secret.id)
                assert envelope.read(ring, found.envelope) == str(found.version)
                reads += 1

        async def rotation():
            for version in range(3, 23):
                fresh = Place(secret.org_id, secret.id, version)
                await rotate(database, await envelope.close(ring, None, fresh, str(version), None))
                await rewrap.rewrap(database, Ring(keys, "new" if version % 2 else "old"))
            over.set()

        async with asyncio.TaskGroup() as group:
            for work in (reader(), reader(), rotation()):
                group.create_task(work)

        assert reads > 40
        await ada.call(DeleteSecret(secret.id))

    async def test_what_does_not_open_does_not_keep_the_rest_from_being_rewrapped(
        self, ada, keep, running, database, rows, monkeypatch
    ):
        monkeypatch.setattr(rewrap, "ROWS", 2)
        secrets = sorted([(await keep(ada)).id for _ in range(6)])
        await rows("update identity.secret_values set data_key = 'x' where secret_id = any($1)", secrets[:4])
        mesh = ring_of(running.kernel.settings)
        try:
            await rewrap.rewrap(database, Ring(mesh._keys | {"fresh": FIRST}, "fresh"))
            under = await rows(
                "select root_key from identity.secret_values where secret_id = any($1) order by secret_id",
                secrets,
            )
            assert [row["root_key"] for row in under] == ["mesh"] * 4 + ["fresh"] * 2
        finally:
            await rewrap.rewrap(database, Ring(mesh._keys | {"fresh": FIRST}, "mesh"))

    async def test_rewrapping_leaves_nothing_under_the_old_root_key(
        self, ada, keep, sealed, lease, running, database
    ):
        await ada.call(OpenSecret(sealed.id, PASSPHRASE))
        secret = await keep(ada)
        mesh = ring_of(running.kernel.settings)
        fresh = Ring({"mesh": mesh._keys["mesh"], "fresh": FIRST}, "fresh")
        try:
            await rewrap.rewrap(database, fresh)
            with pytest.raises(BadSettings, match="lacks fresh"):
                await rewrap.demand_keys(database, mesh)
            db = database.tenant(ada.org_id)
            under = await db.rows(str, "select distinct root_key from identity.secret_values")
            opened = await db.rows(str, "select distinct root_key from identity.secret_openings")
            assert (under, opened) == (["fresh"], ["fresh"])
        finally:
            await rewrap.rewrap(database, Ring(fresh._keys, "mesh"))

        assert (await lease(ada, secret)).value == (await lease(ada, sealed)).value == VALUE


def line(name, key):
    return f"{name}:{base64.b64encode(key).decode()}"


async def rotate(database, closed):
    async with database.transaction([closed.place.org_id]) as tx:
        await rows.lock(tx, closed.place.org_id, closed.place.secret_id)
        await rows.rotate(tx, closed, utc_now(), by=closed.place.secret_id)


async def test_nothing_of_a_secret_shows_in_a_repr(ada, keep, lease):
    leased = await lease(ada, await keep(ada))
    requests = (
        CreateSecret("x", VALUE, ("runtime",), "sealed", PASSPHRASE),
        RotateSecret(uuid4(), VALUE, PASSPHRASE),
        OpenSecret(uuid4(), PASSPHRASE),
    )

    assert "canary" not in repr((leased, requests))
    assert leased.value == VALUE
