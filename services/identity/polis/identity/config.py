"""Identity's settings beyond those of every service."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from polis.service.config import BadSettings, Secret, Settings

MIN_MESH_SECRET = 32
"""Characters of the mesh secret; it is generated, so nobody has to remember it."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Config(Settings, frozen=True, kw_only=True):
    """Who may sign up, how long things live, and how much work passwords may be."""

    mesh_secret: Secret = Secret("")
    """Root of the services' credentials and of the key that seals the signing keys. Only identity has it."""
    vault_keys: Secret = Secret("")
    """Root keys of the vault, `<name>:<32 bytes in base64>` a line, the first one current; empty: the mesh secret gives it."""
    sign_up: Literal["open", "invitation", "closed"] = "invitation"
    public_url: str = "http://127.0.0.1:8080"
    """Origin of the gateway, for links that people follow."""
    admin_link_file: str = ""
    """Where the one-time link for the first administrator is written while there is none; empty: nowhere."""

    access_ttl_s: Annotated[int, Meta(ge=30, le=3600)] = 900
    refresh_ttl_s: Annotated[int, Meta(ge=60, le=7_776_000)] = 604_800
    session_max_s: Annotated[int, Meta(ge=60, le=31_536_000)] = 7_776_000
    """A session ends after this, however often it was renewed."""
    sessions_per_account: Annotated[int, Meta(ge=1, le=10_000)] = 100
    """Sessions that one account has at a time; a sign-in beyond them ends those that were renewed longest ago."""
    refresh_grace_s: Annotated[float, Meta(ge=0, le=60)] = 5.0
    """A used refresh token that comes within this lost a race; later it was copied, and its session ends."""
    invitation_ttl_s: Annotated[int, Meta(ge=60, le=7_776_000)] = 604_800

    sign_in_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    sign_in_every_s: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    """Wrong passwords for one account: so many at once, then one in so many seconds."""
    address_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    address_every_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0
    """Wrong passwords, codes and links from one address, whichever accounts are meant."""
    code_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 5
    code_every_s: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    """Wrong codes for one second factor: there are but a million of them."""
    forgotten_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 3
    forgotten_every_s: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    """Links for one forgotten password."""
    reset_ttl_s: Annotated[int, Meta(ge=60, le=86_400)] = 1800
    """Life of such a link."""
    administrators_need_otp: bool = False
    """Whether administrators of the mesh act as such in sessions with a second factor alone."""

    smtp_host: str = ""
    """Server that takes the mails; empty: none is sent."""
    smtp_port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    smtp_user: str = ""
    smtp_password: Secret = Secret("")
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_from: str = ""
    """Sender of the mails; needed where there is a server."""
    mail_every_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    """How often mails are looked for that another replica left."""

    hash_threads: Annotated[int, Meta(ge=0, le=256)] = 0
    """Passwords hashed at a time, each with 19 MiB on one core; 0: one per core, four at the most."""
    hash_queue: Annotated[int, Meta(ge=0, le=10_000)] = 64
    """Passwords that may wait for that; more is refused with `Overloaded`."""

    key_lifetime_s: Annotated[int, Meta(ge=60, le=31_536_000)] = 7_776_000
    """A signing key has a successor after this."""
    key_reload_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """How often a replica looks for keys that another one made. A new key signs after twice this."""
    audit_days: Annotated[int, Meta(ge=31, le=36_500)] = 400
    """How long the audit log keeps what was done."""
    sweep_every_s: Annotated[float, Meta(gt=0, le=86_400)] = 300.0

    def check(self) -> None:
        """BadSettings for what a type cannot say."""
        if len(self.mesh_secret) < MIN_MESH_SECRET:
            raise BadSettings(f"POLIS_MESH_SECRET needs at least {MIN_MESH_SECRET} characters")
        if self.smtp_host and not self.mail_from:
            raise BadSettings("POLIS_MAIL_FROM has to be given with POLIS_SMTP_HOST")

    @property
    def shows_mails(self) -> bool:
        """Whether administrators read the mails instead: nobody sends them, and nobody else reaches this mesh."""
        return not self.smtp_host and urlsplit(self.public_url).hostname in _LOOPBACK

    @property
    def confirms(self) -> bool:
        """Whether the address of a new account is confirmed: wherever mails are sent."""
        return bool(self.smtp_host)

    @property
    def access_ttl(self) -> timedelta:
        return timedelta(seconds=self.access_ttl_s)

    @property
    def refresh_ttl(self) -> timedelta:
        return timedelta(seconds=self.refresh_ttl_s)

    @property
    def session_max(self) -> timedelta:
        return timedelta(seconds=self.session_max_s)

    @property
    def refresh_grace(self) -> timedelta:
        return timedelta(seconds=self.refresh_grace_s)

    @property
    def invitation_ttl(self) -> timedelta:
        return timedelta(seconds=self.invitation_ttl_s)
