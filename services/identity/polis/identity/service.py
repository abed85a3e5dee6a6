"""Identity answers for orgs, principals, sessions and credentials, and alone issues tokens. It owns schema `identity`."""

from __future__ import annotations

from polis.identity import announcements, asks, handoffs, notifications
from polis.identity.access import service as access
from polis.identity.audit import service as audit
from polis.identity.config import Config
from polis.identity.own import open_own
from polis.identity.people import service as people
from polis.identity.principals import service as principals
from polis.identity.tenancy import role_service as roles
from polis.identity.tenancy import service as tenancy
from polis.identity.tokens import service as tokens
from polis.identity.vault import service as vault
from polis.service import Service

service = Service("identity", settings=Config, open=open_own)
service.include(
    people.handlers,
    tenancy.handlers,
    roles.handlers,
    principals.handlers,
    access.handlers,
    tokens.handlers,
    audit.handlers,
    asks.handlers,
    handoffs.handlers,
    announcements.handlers,
    notifications.handlers,
    vault.handlers,
)
