"""The texts of mails."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from msgspec import Struct


class Letter(Struct, frozen=True):
    """What a mail says; it may hold a link that opens an account, so it is kept sealed."""

    subject: str
    text: str

    def __repr__(self) -> str:
        return "Letter(hidden)"


def password_reset(link: str, minutes: int) -> Letter:
    return Letter(
        "Reset your password",
        f"Somebody, hopefully you, has forgotten the password of your account.\n\n"
        f"Follow this link within {minutes} minutes to set a new one:\n\n{link}\n\n"
        f"It works once. If this was not you, do nothing: your password stays as it is.\n",
    )


def sign_up(link: str) -> Letter:
    return Letter(
        "Create your account",
        f"Somebody, hopefully you, wants an account with this address.\n\n"
        f"Follow this link within a day to create it:\n\n{link}\n\n"
        f"If this was not you, do nothing: there is no account.\n",
    )


def account_exists(home: str, forgotten: str) -> Letter:
    return Letter(
        "You have an account",
        f"Somebody, hopefully you, wants a new account with this address, and there is one.\n\n"
        f"Sign in:\n\n{home}\n\nIf you have forgotten the password:\n\n{forgotten}\n\n"
        f"If this was not you, do nothing: nothing has changed.\n",
    )


def password_changed() -> Letter:
    return Letter(
        "Your password was changed",
        "The password of your account was changed, and your other sessions have ended.\n\n"
        "If this was not you, reset the password now: the sign-in page has a link for that.\n",
    )


def asked(title: str, link: str, *, works_once: bool) -> Letter:
    once = "The link is yours alone and answers once.\n" if works_once else ""
    return Letter(
        "Your answer is needed",
        f"Something waits for your answer:\n\n    {' '.join(title.split())}\n\n"
        f"Follow this link to see what it is and to answer:\n\n{link}\n\n{once}",
    )


def unread(count: int, link: str, account: str) -> Letter:
    """What was said, who follows the link reads; a mail passes through many hands."""
    waits = "A message is unread" if count == 1 else f"{count} messages are unread"
    return Letter(
        waits,
        f"{waits} in a conversation of yours.\n\nFollow this link to read and to answer:\n\n{link}\n\n"
        f"You have asked to be told. What of, and when not, you say here:\n\n{account}\n",
    )


def message(letter: Letter, *, sender: str, to: str) -> EmailMessage:
    """A mail as it is sent. ValueError when an address would forge a header, or is read as another or as several."""
    mail = EmailMessage()
    mail["From"], mail["Subject"] = sender, letter.subject
    if _address(mail, to) != to:
        raise ValueError("the address is not one that mail can be sent to")
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2].strip("> "))
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text)
    return mail


def _address(mail: EmailMessage, to: str) -> str | None:
    """Address a mail; the one mailbox that is read in what it is to. None where there is none, or several."""
    try:
        mail["To"] = to
        read = [address.addr_spec for address in mail["To"].addresses]
    except (AttributeError, IndexError, TypeError):  # the library's parser stumbles over some that are none
        return None
    return read[0] if len(read) == 1 else None
