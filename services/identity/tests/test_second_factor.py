"""The second factor: codes of RFC 6238, recovery codes, tickets of sign-ins, and proving again who one is."""

from __future__ import annotations

import asyncio
import base64
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from polis.identity.people import totp
from polis.proto.identity import (
    ChangePassword,
    CodeNeeded,
    ConfirmIdentity,
    ConfirmTotp,
    EnrolTotp,
    GetMe,
    GetSecondFactor,
    NewRecoveryCodes,
    OrgNotFound,
    Refresh,
    RemoveTotp,
    ResetPassword,
    SecondFactorRequired,
    SignIn,
    SignInSecondFactor,
    TotpActive,
    TotpNotFound,
    WrongCredentials,
    WrongProof,
)
from polis.proto.problems import Forbidden, StepUpRequired
from polis.service.tokens import Claims

PASSWORD = "canary-password"


class Authenticator:
    """What a person's telephone does. Each code is of a later step than the last, as if time had passed."""

    def __init__(self, secret, account_id, rows):
        self.secret = base64.b32decode(secret + "=" * (-len(secret) % 8))
        self.account_id, self.rows = account_id, rows

    async def code(self):
        await self.rows("update identity.totp set last_step = 0 where account_id = $1", self.account_id)
        return self.present()

    def present(self, steps=0):
        return totp.code_of(self.secret, int(time.time()) // totp.STEP_S + steps)


@pytest.fixture
def enrol(rows):
    """Gives a person a second factor: the authenticator and the recovery codes."""

    async def enrol(person):
        device = Authenticator((await person.call(EnrolTotp())).secret, person.id, rows)
        codes = (await person.call(ConfirmTotp(await device.code()))).recovery_codes
        return device, codes

    return enrol


@pytest.fixture
async def device(ada, enrol):
    return (await enrol(ada))[0]


@pytest.fixture
def ticket(anybody, refused):
    async def ticket(email, password=PASSWORD):
        problem = await refused(anybody.call(SignIn(email, password)))
        assert isinstance(problem, SecondFactorRequired)
        return problem.ticket

    return ticket


def claims(token):
    import msgspec

    payload = token.split(".")[1]
    return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=Claims)


class TestCodes:
    """Appendix B of RFC 6238, cut to six digits."""

    @pytest.mark.parametrize(
        ("at", "code"),
        [
            (59, "287082"),
            (1111111109, "081804"),
            (1111111111, "050471"),
            (1234567890, "005924"),
            (2000000000, "279037"),
            (20000000000, "353130"),
        ],
    )
    def test_they_are_those_of_the_standard(self, at, code):
        assert totp.code_of(b"12345678901234567890", at // totp.STEP_S) == code
        assert totp.step_of(b"12345678901234567890", code, at) == at // totp.STEP_S

    def test_the_neighbouring_steps_count_and_no_others(self):
        secret, now = totp.new_secret(), 1_000_000_000
        step = now // totp.STEP_S

        found = [totp.step_of(secret, totp.code_of(secret, step + n), now) for n in range(-2, 3)]

        assert found == [None, step - 1, step, step + 1, None]

    @pytest.mark.parametrize(
        "code", ["", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666"]
    )
    def test_what_is_no_code_fits_no_step(self, code):
        assert totp.step_of(totp.new_secret(), code, time.time()) is None


class TestSettingUp:
    async def test_it_counts_from_its_first_code_on(self, ada, anybody, rows, ticket):
        made = await ada.call(EnrolTotp())
        assert await anybody.call(SignIn(ada.email, PASSWORD))

        device = Authenticator(made.secret, ada.id, rows)
        codes = (await ada.call(ConfirmTotp(await device.code()))).recovery_codes

        assert await ticket(ada.email)
        assert len(set(codes)) == 10
        state = await ada.call(GetSecondFactor())
        assert (state.since is not None, state.recovery_codes_left) == (True, 10)

    async def test_the_uri_says_the_same_as_the_secret(self, ada):
        made = await ada.call(EnrolTotp())

        parts = urlsplit(made.uri)
        assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
        assert parse_qs(parts.query)["secret"] == [made.secret]

    async def test_a_wrong_first_code_changes_nothing(self, ada, anybody, refused):
        await ada.call(EnrolTotp())

        assert await refused(ada.call(ConfirmTotp("000000x"))) == WrongProof()
        assert await anybody.call(SignIn(ada.email, PASSWORD))

    async def test_there_is_one_at_a_time(self, ada, device, refused):
        assert await refused(ada.call(EnrolTotp())) == TotpActive()
        assert await refused(ada.call(ConfirmTotp(await device.code()))) == TotpNotFound()

    async def test_the_other_sessions_end(self, ada, anybody, enrol, ended):
        other = await anybody.call(SignIn(ada.email, PASSWORD))

        await enrol(ada)

        await ended(other)
        assert await ada.call(GetMe())

    async def test_the_secret_and_the_codes_are_not_in_the_database(self, ada, enrol, rows):
        device, codes = await enrol(ada)

        dump = ""
        for table in ("totp", "recovery_codes"):
            lines = await rows(
                f"select to_jsonb(t)::text as line from identity.{table} t where account_id = $1", ada.id
            )
            dump += "".join(line["line"] for line in lines)
        assert dump
        for secret in (device.secret.hex(), totp.base32(device.secret), *codes):
            assert secret not in dump

    async def test_secrets_of_two_people_cannot_be_swapped(
        self, ada, ben, enrol, rows, ticket, anybody, refused
    ):
        mine, _ = await enrol(ada)
        await enrol(ben)
        await rows(
            "update identity.totp set sealed = (select sealed from identity.totp where account_id = $1), last_step = 0 "
            "where account_id = $2",
            ada.id,
            ben.id,
        )

        attempt = SignInSecondFactor(await ticket(ben.email), mine.present())
        assert await refused(anybody.call(attempt)) == WrongCredentials()


class TestSigningIn:
    async def test_a_code_opens_the_session(self, ada, anybody, device, ticket):
        session = await anybody.call(SignInSecondFactor(await ticket(ada.email), await device.code()))

        assert session.me == ada.me
        assert claims(session.access_token).amr == ("pwd", "otp")
        assert await anybody.using(session.access_token).call(GetMe()) == ada.me

    async def test_a_wrong_password_tells_nothing_of_a_second_factor(self, ada, anybody, device, refused):
        assert await refused(anybody.call(SignIn(ada.email, "wrong"))) == WrongCredentials()

    async def test_a_code_is_used_once_whatever_it_is_used_for(self, ada, anybody, device, ticket, refused):
        tickets = [await ticket(ada.email) for _ in range(5)]
        code = await device.code()

        results = await asyncio.gather(
            *(anybody.call(SignInSecondFactor(t, code)) for t in tickets), return_exceptions=True
        )

        assert len([result for result in results if not isinstance(result, Exception)]) == 1
        assert await refused(ada.call(ConfirmIdentity(code=code))) == WrongProof()

    async def test_an_older_code_than_the_last_used_one_is_refused(
        self, ada, anybody, device, ticket, refused
    ):
        await device.code()
        await anybody.call(SignInSecondFactor(await ticket(ada.email), device.present()))

        for steps in (0, -1):
            attempt = SignInSecondFactor(await ticket(ada.email), device.present(steps))
            assert await refused(anybody.call(attempt)) == WrongCredentials()

    async def test_a_ticket_is_used_once_and_survives_a_wrong_code(
        self, ada, anybody, device, ticket, refused
    ):
        one = await ticket(ada.email)

        assert await refused(anybody.call(SignInSecondFactor(one, "000000x"))) == WrongCredentials()
        assert await anybody.call(SignInSecondFactor(one, await device.code()))
        attempt = SignInSecondFactor(one, await device.code())
        assert await refused(anybody.call(attempt)) == WrongCredentials()

    @pytest.mark.parametrize(
        "change",
        [
            "update identity.tickets set expires_at = now() where account_id = $1",
            "update identity.accounts set suspended_at = now() where id = $1",
            "update identity.passwords set changed_at = now() where account_id = $1",
        ],
    )
    async def test_a_ticket_ends_with_time_account_and_password(
        self, ada, anybody, device, ticket, rows, refused, change
    ):
        one = await ticket(ada.email)
        await rows(change, ada.id)

        attempt = SignInSecondFactor(one, await device.code())
        assert await refused(anybody.call(attempt)) == WrongCredentials()

    @pytest.mark.parametrize("one", ["x", "pst_", "pst_\0", "x" * 4096])
    async def test_a_guessed_ticket_looks_like_a_wrong_code(self, running, anybody, refused, one):
        assert await refused(anybody.call(SignInSecondFactor(one, "000000"))) == WrongCredentials()

    async def test_a_foreign_org_is_told_before_a_ticket_is_given(self, ada, ben, anybody, device, refused):
        problem = await refused(anybody.call(SignIn(ada.email, PASSWORD, ben.org_id)))

        assert problem == OrgNotFound(org_id=ben.org_id)

    async def test_a_reset_password_does_not_go_around_it(self, ada, anybody, device, ticket, rows):
        await rows(
            "insert into identity.password_resets (token_hash, account_id, expires_at) "
            "values (sha256('ppr_x'), $1, now() + interval '1 hour')",
            ada.id,
        )

        await anybody.call(ResetPassword("ppr_x", "canary-other-password"))

        assert await ticket(ada.email, "canary-other-password")


class TestRecovery:
    async def test_each_code_opens_once_however_it_is_typed(self, ada, anybody, enrol, ticket, refused):
        _, codes = await enrol(ada)

        for typed in (codes[0], codes[1].upper(), f" {codes[2].replace('-', ' ')} "):
            assert await anybody.call(SignInSecondFactor(await ticket(ada.email), typed))
        for typed in (codes[0], codes[1], "aaaa-aaaa-aaaa-aaaa"):
            attempt = SignInSecondFactor(await ticket(ada.email), typed)
            assert await refused(anybody.call(attempt)) == WrongCredentials()
        assert (await ada.call(GetSecondFactor())).recovery_codes_left == 7

    async def test_new_codes_replace_the_old_ones(self, ada, anybody, enrol, ticket, refused):
        device, old = await enrol(ada)
        fresh = anybody.using((await ada.call(ConfirmIdentity(code=await device.code()))).access_token)

        new = (await fresh.call(NewRecoveryCodes())).recovery_codes

        attempt = SignInSecondFactor(await ticket(ada.email), old[0])
        assert await refused(anybody.call(attempt)) == WrongCredentials()
        assert await anybody.call(SignInSecondFactor(await ticket(ada.email), new[0]))

    async def test_codes_of_another_person_open_nothing(self, ada, ben, anybody, enrol, ticket, refused):
        _, codes = await enrol(ada)
        await enrol(ben)

        attempt = SignInSecondFactor(await ticket(ben.email), codes[0])
        assert await refused(anybody.call(attempt)) == WrongCredentials()

    async def test_without_a_second_factor_there_are_none(self, ada, refused):
        assert await refused(ada.call(NewRecoveryCodes())) == TotpNotFound()


class TestStepUp:
    @pytest.fixture
    async def old(self, ada, anybody, rows):
        """A session whose person proved who they are ten minutes ago."""
        await rows(
            "update identity.sessions set proved_at = now() - interval '10 min' where sid = $1",
            ada.session_id,
        )
        return anybody.using((await anybody.call(Refresh(ada.refresh_token))).access_token)

    async def test_a_sign_in_is_fresh_and_a_renewal_does_not_refresh_it(self, ada, old):
        assert time.time() - claims(ada.token).auth_time < 60
        assert 590 < time.time() - claims(old.token).auth_time < 660

    async def test_a_sensitive_operation_asks_for_a_new_proof(self, old, anybody, refused):
        assert await refused(old.call(EnrolTotp())) == StepUpRequired(max_age_s=300)

        fresh = anybody.using((await old.call(ConfirmIdentity(password=PASSWORD))).access_token)

        assert claims(fresh.token).amr == ("pwd",)
        assert await fresh.call(EnrolTotp())

    @pytest.mark.parametrize("proof", [{}, {"password": "wrong"}, {"password": ""}, {"code": "123456"}])
    async def test_a_wrong_proof_gives_no_token(self, old, refused, proof):
        assert await refused(old.call(ConfirmIdentity(**proof))) == WrongProof()

    async def test_who_has_a_second_factor_proves_it_by_a_code(self, ada, anybody, device, refused):
        assert await refused(ada.call(ConfirmIdentity(password=PASSWORD))) == CodeNeeded()

        confirmed = await ada.call(ConfirmIdentity(code=await device.code()))

        assert claims(confirmed.access_token).amr == ("pwd", "otp")

    async def test_removing_it_ends_it(self, ada, anybody, device):
        fresh = anybody.using((await ada.call(ConfirmIdentity(code=await device.code()))).access_token)

        await fresh.call(RemoveTotp())

        session = await anybody.call(SignIn(ada.email, PASSWORD))
        assert claims(session.access_token).amr == ("pwd",)
        assert claims((await anybody.call(Refresh(ada.refresh_token))).access_token).amr == ("pwd",)

    async def test_nobody_but_a_person_steps_up(self, as_service, refused):
        catalog = await as_service("catalog")

        assert await refused(catalog.call(EnrolTotp())) == Forbidden(scope="session")
        assert await refused(catalog.call(ConfirmIdentity(password=PASSWORD))) == Forbidden(scope="session")

    async def test_a_password_is_changed_without_a_code(self, ada, device):
        """The session was opened with one; the old password is asked for."""
        assert await ada.call(ChangePassword(PASSWORD, "canary-other-password")) is None
