"""Everything that changes one account at the same time: each call succeeds or is refused, and none waits for another for ever."""

from __future__ import annotations

import asyncio
import base64
import random
import time

import pytest

from polis.identity.people import totp
from polis.proto import Refused
from polis.proto.identity import (
    ChangePassword,
    ConfirmIdentity,
    ConfirmTotp,
    EndOtherSessions,
    EnrolTotp,
    ForgotPassword,
    Refresh,
    RemoveTotp,
    ResetPassword,
    ResumeAccount,
    SecondFactorRequired,
    SignIn,
    SignInSecondFactor,
    SuspendAccount,
    SwitchOrg,
)
from polis.proto.problems import DeadlineExceeded, Internal, Overloaded, Unavailable
from polis.telemetry import log

PASSWORD, REASON, ROUNDS = "canary-password", "Because of a test", 12
FAULTS = (DeadlineExceeded, Internal, Overloaded, Unavailable)
ROUND_S = 16
"""Far more than a round takes, and less than one whose calls wait for each other until their deadline."""


class Crowd:
    """One person on many devices, and an administrator who suspends and resumes the account."""

    def __init__(self, ada, root, anybody, rows, secret):
        self.ada, self.root, self.anybody, self.rows = ada, root, anybody, rows
        self.secret = base64.b32decode(secret)
        self.sessions = [ada.session]
        self.refusals = []
        seed = random.randrange(1 << 32)
        log.info("test.seed", seed=seed)
        self.chance = random.Random(seed)

    async def attempt(self, request, who=None):
        try:
            return await (who or self.anybody).call(request)
        except Refused as refusal:
            self.refusals.append(refusal.problem)
            return None

    async def in_a_session(self, request):
        token = self.chance.choice(self.sessions).access_token
        return await self.attempt(request, self.anybody.using(token))

    def code(self):
        step = int(time.time()) // totp.STEP_S + self.chance.randrange(-1, 2)
        return totp.code_of(self.secret, step)

    async def sign_in(self):
        session = await self.attempt(SignIn(self.ada.email, PASSWORD))
        tickets = [p.ticket for p in self.refusals if isinstance(p, SecondFactorRequired)]
        if session is None and tickets:
            session = await self.attempt(SignInSecondFactor(tickets[-1], self.code()))
        if session is not None:
            self.sessions.append(session)

    async def reset(self):
        await self.rows(
            "insert into identity.password_resets (token_hash, account_id, expires_at) "
            "values (sha256($2), $1, now() + interval '1 h') on conflict do nothing",
            self.ada.id,
            b"ppr_known",
        )
        await self.attempt(ResetPassword("ppr_known", PASSWORD))

    def acts(self):
        """What all happens at once, in some order."""
        account_id = self.ada.id
        acts = [
            self.sign_in(),
            self.sign_in(),
            self.reset(),
            self.attempt(SignIn(self.ada.email, "wrong")),
            self.attempt(ForgotPassword(self.ada.email)),
            self.attempt(Refresh(self.chance.choice(self.sessions).refresh_token)),
            self.in_a_session(ChangePassword(PASSWORD, PASSWORD)),
            self.in_a_session(EndOtherSessions()),
            self.in_a_session(ConfirmIdentity(PASSWORD, self.code())),
            self.in_a_session(SwitchOrg(self.ada.org_id)),
            self.in_a_session(ConfirmTotp(self.code())),
            self.in_a_session(RemoveTotp()),
            self.attempt(SuspendAccount(account_id, REASON), self.root),
            self.attempt(ResumeAccount(account_id, REASON), self.root),
        ]
        self.chance.shuffle(acts)
        return acts


@pytest.fixture
async def crowd(ada, sign_up, anybody, rows):
    root = await sign_up("Root")
    await rows("insert into identity.administrators (account_id, since) values ($1, now())", root.id)
    return Crowd(ada, root, anybody, rows, (await ada.call(EnrolTotp())).secret)


async def test_no_two_of_them_stand_in_each_others_way(crowd):
    for _ in range(ROUNDS):
        async with asyncio.timeout(ROUND_S):
            await asyncio.gather(*crowd.acts())
        await crowd.attempt(ResumeAccount(crowd.ada.id, REASON), crowd.root)
        await crowd.in_a_session(EnrolTotp())

    assert [problem for problem in crowd.refusals if isinstance(problem, FAULTS)] == []
    # Whoever was faster, the account is whole: its owner gets in once nothing stands against it any more.
    await crowd.rows("delete from identity.guesses")
    await crowd.rows("delete from identity.totp where account_id = $1", crowd.ada.id)
    await crowd.anybody.call(SignIn(crowd.ada.email, PASSWORD))
