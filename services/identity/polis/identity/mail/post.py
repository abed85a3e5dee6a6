"""Writes the mails that were asked for, and sends them where there is a server. Each is sent at least once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from aiosmtplib import SMTPException, send

from polis.identity.mail import letters, mails, unread
from polis.identity.people import accounts
from polis.identity.seal import Seal
from polis.identity.tenancy import orgs
from polis.identity.tokens import issue
from polis.identity.tokens.keys import utc_now
from polis.identity.tokens.opaque import mint
from polis.proto import Refused
from polis.proto.identity import MailRequested
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.identity.config import Config
    from polis.identity.mail.asks import Asks
    from polis.identity.mail.letters import Letter
    from polis.identity.mail.mails import Asked
    from polis.identity.people.confirmations import Confirmations

_RETRY, _MOST = timedelta(seconds=30), timedelta(minutes=10)
_TIMEOUT_S = 20.0
_CHAT = "/chat#"
_PATH, _SIGN_UP = "/reset-password#", "/sign-up#"
"""Behind the `#`, so that the token reaches no server's log."""


class Post:
    """The sender of one process; replicas share the work by locking rows."""

    def __init__(self, database: Database, config: Config, confirmations: Confirmations, asks: Asks) -> None:
        self.seal = Seal(config.mesh_secret, "mails v1")
        self.reset_ttl = timedelta(seconds=config.reset_ttl_s)
        self._database = database
        self._config = config
        self._confirmations = confirmations
        self._asks = asks
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is a mail to write."""
        self._woken.set()

    async def run(self) -> None:
        """Write and send for as long as the service runs."""
        if not self._config.smtp_host and not self._config.shows_mails:
            log.warning("mails.nobody_sends", setting="POLIS_SMTP_HOST")
        await rounds("mails", self._turn, every_s=self._config.mail_every_s, wake=self._woken)

    async def _turn(self) -> None:
        while await self._write_one():
            pass
        while self._config.smtp_host and await self._send_one():
            pass

    async def _write_one(self) -> bool:
        """Whether there was one that could be written."""
        asked = None
        try:
            async with self._database.across_orgs() as tx:
                asked = await mails.next_asked(tx, utc_now())
                return asked is not None and await self._write(tx, asked)
        except Refused:
            raise
        except Exception as error:
            if asked is None:
                raise
            log.error("mail.broken", kind=asked.kind, mail_id=str(asked.id), exc_info=error)
        async with self._database.across_orgs() as tx:
            await mails.put_off(tx, asked, _RETRY)
        return False

    async def _write(self, tx: Transaction, asked: Asked) -> bool:
        login = await accounts.login(tx, asked.email)
        if login is None and asked.kind == "sign_up":
            await mails.write(tx, self.seal, asked, self._link_to_sign_up(asked))
            return True
        if login is None or not login.active:
            await mails.forget(tx, asked.id)
            return True
        if asked.kind == "ask" and asked.about is not None:
            return await self._write_ask(tx, asked, asked.about)
        await mails.write(tx, self.seal, asked, await self._letter(tx, asked, login))
        org_id = issue.home(await orgs.of_account(tx, login.id))
        await tx.emit(MailRequested(org_id, asked.id, asked.kind, login.id))
        return True

    async def _write_ask(self, tx: Transaction, asked: Asked, about: bytes) -> bool:
        """Write what somebody is asked, unless that is over; false when the runtime cannot say, and others go before it."""
        try:
            notice = await self._asks.notice(about)
        except Refused as refusal:
            log.warning("mail.not_written", kind=asked.kind, problem=refusal.problem.type)
            await mails.put_off(tx, asked, _RETRY)
            return False
        if notice is None:
            await mails.forget(tx, asked.id)
        else:
            once = "#" in notice.path
            letter = letters.asked(notice.title, self._url(notice.path), works_once=once)
            await mails.write(tx, self.seal, asked, letter)
        return True

    async def _letter(self, tx: Transaction, asked: Asked, login: accounts.Login) -> Letter:
        if asked.kind == "password_changed":
            return letters.password_changed()
        if asked.kind == "unread" and asked.about is not None:
            about = unread.about_of(asked.about)
            link = self._url(f"{_CHAT}{about.conversation_id}")
            return letters.unread(about.unread, link, self._url("/account"))
        if asked.kind == "sign_up":
            return letters.account_exists(self._url("/"), self._url("/forgotten-password"))
        token = mint("ppr")
        await accounts.offer_reset(tx, login.id, token.hash, asked.expires_at)
        link = self._url(_PATH + token.secret)
        return letters.password_reset(link, round(self.reset_ttl.total_seconds() / 60))

    def _link_to_sign_up(self, asked: Asked) -> Letter:
        return letters.sign_up(self._url(_SIGN_UP + self._confirmations.token(asked.email, asked.expires_at)))

    def _url(self, path: str) -> str:
        return self._config.public_url.rstrip("/") + path

    async def _send_one(self) -> bool:
        """Claim, send, delete: who ends in between leaves it to be sent again later."""
        async with self._database.across_orgs() as tx:
            ready = await mails.claim(tx, utc_now(), _RETRY, _MOST)
        if ready is None:
            return False
        letter = mails.opened(self.seal, ready)
        if letter is not None and not await self._send(letter, ready):
            return True
        async with self._database.across_orgs() as tx:
            await mails.forget(tx, ready.id)
        return True

    async def _send(self, letter: Letter, ready: mails.Ready) -> bool:
        config = self._config
        try:
            await send(
                letters.message(letter, sender=config.mail_from, to=ready.email),
                hostname=config.smtp_host,
                port=config.smtp_port,
                username=config.smtp_user or None,
                password=str(config.smtp_password) or None,
                use_tls=config.smtp_security == "tls",
                start_tls=config.smtp_security == "starttls",
                timeout=_TIMEOUT_S,
            )
        except (SMTPException, OSError, ValueError) as error:
            log.warning("mail.not_sent", kind=ready.kind, tries=ready.tries, error=type(error).__name__)
            return False
        log.info("mail.sent", kind=ready.kind, tries=ready.tries)
        return True
