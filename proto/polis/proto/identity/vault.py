"""Secrets of an org: kept encrypted, told about to people, and leased to the services that they name. Nobody reads them back."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import (
    INTERNAL,
    Cursor,
    Event,
    Limit,
    Page,
    Problem,
    Request,
    Time,
    event,
    operation,
    problem,
)
from polis.proto.identity.words import Key

SecretKey = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9._-]{0,62}$(?!\n)",
        description="Short name of a secret, unique in its org, or among those of its owner.",
        examples=["smtp.password"],
    ),
]
SecretValue = Annotated[
    str, Meta(min_length=1, max_length=16_384, description="What is to be kept.", examples=["hunter2"])
]
Passphrase = Annotated[
    str,
    Meta(
        min_length=10,
        max_length=256,
        description="What the owner alone knows. Without it a sealed secret is lost.",
        examples=["correct horse battery staple"],
    ),
]
Protection = Annotated[
    Literal["org", "personal", "sealed"],
    Meta(
        description="`org`: used for everybody of the org; `personal`: only for its owner; "
        "`sealed`: as that, and only while the owner has opened it with a passphrase."
    ),
]
SecretHost = Annotated[
    str,
    Meta(
        max_length=261,
        pattern=r"^(\*\.)?([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?$(?!\n)",
        description="A host that a secret may be sent to; `*.` stands for every name below, a port for that one alone.",
        examples=["api.example.com"],
    ),
]
SecretHosts = Annotated[
    tuple[SecretHost, ...],
    Meta(max_length=16, description="Where a secret may be sent; without any to wherever it is used."),
]
SECRETS = 500
"""Secrets that an org may have."""
LEASE_S = 60
"""How long a service may hold a secret before it asks again."""
NOTIFYING = "notifications.webhook"
"""What everybody's secret for the webhook of their own notifications is called."""


class Secret(Struct, frozen=True):
    """What is known of a secret without its value. `used_by`: the services that may have it; `open_until`: of a sealed one."""

    id: UUID
    org_id: UUID
    name: SecretKey
    protection: Protection
    used_by: tuple[Key, ...]
    version: int
    created_by: UUID
    created_at: Time
    rotated_at: Time | None = None
    open_until: Time | None = None
    hosts: SecretHosts = ()


class SecretLease(Struct, frozen=True):
    """A secret in the hands of a service, until then. It is neither stored nor passed on, but to `hosts`, where it has some."""

    secret_id: UUID
    version: int
    value: SecretValue
    until: Time
    hosts: SecretHosts = ()

    def __repr__(self) -> str:
        return f"SecretLease({self.secret_id}, hidden)"


class NotificationSecret(Struct, frozen=True):
    """A secret for the webhook of notifications, and what it is: for who posts are sent to, to check their signatures with."""

    secret_id: UUID
    value: SecretValue

    def __repr__(self) -> str:
        return f"NotificationSecret({self.secret_id}, hidden)"


@problem(status=409)
class SecretNameTaken(Problem, frozen=True):
    """There is a secret of this name."""

    name: str


@problem(status=404)
class SecretNotFound(Problem, frozen=True):
    """No secret of this id is the org's or the caller's."""

    secret_id: UUID


@problem(status=409)
class TooManySecrets(Problem, frozen=True):
    """The org has as many secrets as it may have."""

    most: int


@problem(status=409)
class SecretClosed(Problem, frozen=True):
    """The secret is sealed, and its owner has not opened it, or not lately."""

    secret_id: UUID


@problem(status=422)
class WrongPassphrase(Problem, frozen=True):
    """The passphrase is not the one that the secret was sealed with."""


@problem(status=503)
class SecretUnreadable(Problem, frozen=True):
    """The secret does not open: its row is not as it was written."""

    secret_id: UUID


@event(entity="entry_id")
class SecretRotated(Event, frozen=True):
    """A secret has another value from now on."""

    entry_id: UUID
    version: int


@event(entity="entry_id")
class SecretUpdated(Event, frozen=True):
    """A secret is given to these services alone from now on, for these hosts; leases that they hold last their minute."""

    entry_id: UUID
    used_by: tuple[Key, ...]
    hosts: SecretHosts = ()


@event(entity="entry_id")
class SecretDeleted(Event, frozen=True):
    """A secret is gone."""

    entry_id: UUID


@operation(http="POST /secrets", scope="identity:secrets", problems=(SecretNameTaken, TooManySecrets))
class CreateSecret(Request[Secret], frozen=True):
    """Keep a secret. It is not shown again: the services in `used_by` get it, each for a short while."""

    name: SecretKey
    value: SecretValue
    used_by: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=16, examples=[["runtime"]])]
    protection: Protection = "org"
    passphrase: Annotated[Passphrase | None, Meta(examples=[None])] = None
    hosts: SecretHosts = ()

    def __repr__(self) -> str:
        return f"CreateSecret({self.name}, hidden)"


@operation(http="GET /secrets", scope="identity:secrets")
class ListSecrets(Request[Page[Secret]], frozen=True):
    """List the org's secrets and the caller's own, without their values, oldest first."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /secrets/{secret_id}", scope="identity:secrets", problems=(SecretNotFound,))
class GetSecret(Request[Secret], frozen=True):
    """Read what is known of a secret without its value."""

    secret_id: UUID


@operation(http="POST /secrets/{secret_id}/rotate", scope="identity:secrets", problems=(SecretNotFound,))
class RotateSecret(Request[Secret], frozen=True):
    """Give a secret another value; leases from now on are of that one. A sealed one is closed by it."""

    secret_id: UUID
    value: SecretValue
    passphrase: Passphrase | None = None

    def __repr__(self) -> str:
        return f"RotateSecret({self.secret_id}, hidden)"


@operation(
    http="PATCH /secrets/{secret_id}", scope="identity:secrets", problems=(SecretNotFound, SecretNameTaken)
)
class UpdateSecret(Request[Secret], frozen=True):
    """Rename a secret, or say anew which services get it (none, if `used_by` is empty) and for which hosts. What is left out stays.

    An org's secret is changed by who made it and by who manages the org's members; any other by its owner.
    """

    secret_id: UUID
    name: SecretKey | None = None
    used_by: Annotated[tuple[Key, ...], Meta(max_length=16)] | None = None
    hosts: SecretHosts | None = None


@operation(http="DELETE /secrets/{secret_id}", scope="identity:secrets", problems=(SecretNotFound,))
class DeleteSecret(Request[None], frozen=True):
    """Delete a secret. Who manages the org's members may delete anybody's."""

    secret_id: UUID


@operation(
    http="POST /secrets/{secret_id}/open",
    scope="identity:secrets",
    problems=(SecretNotFound, SecretUnreadable, WrongPassphrase),
    idempotent=False,
)
class OpenSecret(Request[Secret], frozen=True):
    """Open the caller's own sealed secret for a while, so that services may use it for the caller."""

    secret_id: UUID
    passphrase: Annotated[str, Meta(max_length=256)]
    for_s: Annotated[int, Meta(ge=1, le=3600, description="Seconds.")] = 900

    def __repr__(self) -> str:
        return f"OpenSecret({self.secret_id}, hidden)"


@operation(http="POST /secrets/{secret_id}/close", scope="identity:secrets", problems=(SecretNotFound,))
class CloseSecret(Request[Secret], frozen=True):
    """Close the caller's own sealed secret before its time."""

    secret_id: UUID


@operation(
    http="POST /notification-secret",
    scope="messaging:read",
    problems=(SecretNameTaken,),
    by_person=True,
    idempotent=False,
)
class MakeNotificationSecret(Request[NotificationSecret], frozen=True):
    """Make the secret that the webhook of the caller's notifications is signed with; its value is shown this once.

    Everybody who may be told of messages has one, also who keeps no others: personal, for this host alone, and called
    `notifications.webhook`. Made again, it is the same with another value.
    """

    host: SecretHost


@operation(scope=INTERNAL, callers=("runtime",), problems=(SecretNotFound, SecretClosed, SecretUnreadable))
class LeaseSecret(Request[SecretLease], frozen=True):
    """Give a secret to a service that it names, for use on behalf of somebody in its org."""

    org_id: UUID
    secret_id: UUID
    principal_id: UUID
