"""Mails are sent by SMTP, again while that fails, and forgotten when they were sent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from email import message_from_bytes, policy

import pytest

from polis.identity.mail import letters
from polis.proto.identity import AskToSignUp, ForgotPassword, ResetPassword, SignIn, SignUp
from polis.testing import eventually

PASSWORD = "canary-password"


class Server:
    """As much of an SMTP server (RFC 5321) as takes mails, or refuses them for a while."""

    def __init__(self):
        self.mails, self.refusing, self.refused, self.port = [], False, 0, 0

    async def serve(self, reader, writer):
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            verb = line.split()[0].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                lines = []
                while (part := await reader.readline()) != b".\r\n":
                    lines.append(part)
                self.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
            if verb == b"MAIL" and self.refusing:
                self.refused += 1
                writer.write(b"451 not now\r\n")
            else:
                writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                break
        writer.close()

    def to(self, address):
        return [mail for mail in self.mails if mail["To"] == address]


@asynccontextmanager
async def listening():
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


@pytest.fixture(scope="module")
async def server(serve):
    async with listening() as server:
        settings = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none"}
        async with serve(mail_from="Polis <polis@example.org>", mail_every_s=0.05, **settings):
            yield server


@pytest.fixture
async def address(server, anybody, email):
    """Of an account whose mails so far are forgotten."""
    address = email()
    await anybody.call(AskToSignUp(address))
    [mail] = await eventually(lambda: server.to(address))
    token = mail.get_content().partition("/sign-up#")[2].split()[0]
    await anybody.call(SignUp(address, PASSWORD, "Ada", confirmation=token))
    server.mails.remove(mail)
    return address


async def test_a_forgotten_password_is_reset_by_the_mail_and_nothing_is_kept(server, address, anybody, rows):
    await anybody.call(ForgotPassword(address))

    [mail] = await eventually(lambda: server.to(address))
    token = mail.get_content().partition("/reset-password#")[2].split()[0]
    await anybody.call(ResetPassword(token, "canary-other-password"))

    assert (mail["Subject"], mail["From"]) == ("Reset your password", "Polis <polis@example.org>")
    assert await anybody.call(SignIn(address, "canary-other-password"))

    async def gone():
        return not await rows("select from identity.mails where email = $1", address)

    await eventually(lambda: len(server.to(address)) == 2)
    await eventually(gone)


async def test_what_was_refused_is_sent_later_and_once(server, address, anybody, rows):
    server.refusing = True
    await anybody.call(ForgotPassword(address))
    await eventually(lambda: server.refused)
    assert server.to(address) == []

    server.refusing = False
    await rows("update identity.mails set due_at = now() where email = $1", address)

    await eventually(lambda: server.to(address))
    assert len(server.to(address)) == 1


async def test_a_mail_that_cannot_be_written_keeps_no_other_from_being_sent(server, address, anybody, rows):
    await rows(
        """
        insert into identity.mails (id, kind, email, created_at, expires_at, due_at, about)
        select gen_random_uuid(), 'ask', $1, now(), now() + interval '1 hour', now() - interval '1 minute', 'no JSON'
        """,
        address,
    )

    await anybody.call(ForgotPassword(address))

    [mail] = await eventually(lambda: server.to(address))
    assert mail["Subject"] == "Reset your password"
    await rows("delete from identity.mails where email = $1 and kind = 'ask'", address)


def test_an_address_cannot_forge_a_header():
    letter = letters.password_changed()

    with pytest.raises(ValueError, match="Header"):
        letters.message(letter, sender="a@example.org", to="b@example.org\r\nBcc: c@example.org")


@pytest.mark.parametrize(
    "to",
    [
        *(
            "a,b@example.org",
            "<b@example.org>",
            "a<b@example.org>",
            "b@example.org;c.org",
            "(a)b@example.org",
        ),
        *("a:;@example.org", '(>@example."org', "-0:;@_,.,<", ")u\\#]a=]@',.b<", '(,@a">b).)'),
    ],
)
def test_an_address_is_one_mailbox_and_the_one_it_says(to):
    """Else whoever signs up mails somebody else, under as many names as there are limits by address."""
    with pytest.raises(ValueError, match="address"):
        letters.message(letters.password_changed(), sender="a@example.org", to=to)


@pytest.mark.parametrize(
    "to", ["b@example.org", "b+c@example.org", "o'b@example.org", "ü@exämple.org", "a..b@x.org"]
)
def test_an_address_that_mail_can_be_sent_to_stays_as_it_is(to):
    assert letters.message(letters.password_changed(), sender="a@example.org", to=to)["To"] == to


def test_a_letter_never_shows():
    assert "ppr_" not in repr(letters.password_reset("https://x/reset-password#ppr_x", 30))
