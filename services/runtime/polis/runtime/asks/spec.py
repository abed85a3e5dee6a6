"""What is asked: how a step's configuration and message become it, and what may be decided. It knows no store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from polis.graph.rules.ask import decisions, titled
from polis.proto.graph import JsonSchema
from polis.proto.identity import ResourceName, Role
from polis.proto.runtime import MAX_ADDRESSEES, Addressee, AskKind, AskMail, Choice, Decision
from polis.runtime.component import StepFailed

MAX_BYTES = 256 * 1024
"""Of all that an ask holds: who answers reads it whole."""
_TITLE, _TEXT, _NAME = 200, 8_000, 200


class To(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a step's configuration addresses: by one of these. `starter`: whoever started the run."""

    principal: str | None = None
    role: str | None = None
    grant: str | None = None
    starter: bool = False


class Later(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom an ask is addressed to besides, when nobody has answered for so long."""

    after_s: float
    to: tuple[To, ...]


class Config(Struct, frozen=True):
    """The configuration of a step; texts are templates over the message."""

    kind: AskKind
    title: str
    to: tuple[To, ...]
    text: str = ""
    form: JsonSchema | None = None
    choices: tuple[Choice | str, ...] = ()
    quorum: int = 1
    editable: bool = True
    always: bool = True
    verb: str = ""
    subject: str = ""
    no_self: bool = False
    timeout_s: float | None = None
    default: str | None = None
    default_value: object = None
    remind_s: float | None = None
    escalate: tuple[Later, ...] = ()
    mail: AskMail = "none"
    conversation: str | None = None


class Escalation(Struct, frozen=True):
    """Further addressees, when an ask has been open for so long."""

    after_s: float
    to: tuple[Addressee, ...]
    starter: bool = False


class AskSpec(Struct, frozen=True, omit_defaults=True):
    """What is asked, as it lies with the wait. `value`: the message that it is about."""

    kind: AskKind
    title: str
    text: str
    value: object
    to: tuple[Addressee, ...]
    starter: bool = False
    form: JsonSchema | None = None
    choices: tuple[Choice, ...] = ()
    quorum: int = 1
    editable: bool = True
    always: bool = True
    verb: str = ""
    subject: str = ""
    no_self: bool = False
    default: str | None = None
    default_value: object = None
    remind_s: float | None = None
    escalate: tuple[Escalation, ...] = ()
    mail: AskMail = "none"
    conversation_id: UUID | None = None

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Everything that can be answered."""
        return decisions(self.kind, self.choices, always=self.always)


def spec(config: Config, value: object, rendered: Mapping[str, str]) -> AskSpec:
    """What a message asks. rendered: the templates of the configuration, carried out. StepFailed when it cannot be asked.

    PostgreSQL takes no U+0000 in a text, and messages may hold it.
    """

    def text(template: str, most: int) -> str:
        return rendered[template].replace("\0", "")[:most]

    made = AskSpec(
        kind=config.kind,
        title=text(config.title, _TITLE),
        text=text(config.text, _TEXT),
        value=value,
        to=_addressees(config.to, rendered),
        starter=any(to.starter for to in config.to),
        form=config.form,
        choices=titled(config.choices),
        quorum=config.quorum,
        editable=config.editable,
        always=config.always,
        verb=config.verb.replace("\0", ""),
        subject=text(config.subject, _NAME),
        no_self=config.no_self,
        default=config.default,
        default_value=config.default_value,
        remind_s=config.remind_s,
        mail=config.mail,
        conversation_id=_conversation(config, rendered),
        escalate=tuple(
            Escalation(later.after_s, _addressees(later.to, rendered), any(to.starter for to in later.to))
            for later in config.escalate
        ),
    )
    if len(msgspec.json.encode(made)) > MAX_BYTES:
        raise StepFailed("ask.too_large", f"more than {MAX_BYTES:,} bytes of JSON are asked about")
    return made


def templates(config: Config) -> tuple[str, ...]:
    """Every text of a configuration that is a template."""
    everybody = (*config.to, *(to for later in config.escalate for to in later.to))
    names = (name for to in everybody for name in (to.principal, to.role, to.grant) if name is not None)
    talk = () if config.conversation is None else (config.conversation,)
    return tuple(dict.fromkeys((config.title, config.text, config.subject, *talk, *names)))


def _conversation(config: Config, rendered: Mapping[str, str]) -> UUID | None:
    if config.conversation is None or not (given := rendered[config.conversation].strip()):
        return None
    try:
        return UUID(given)
    except ValueError:
        raise StepFailed("ask.conversation", f"this is no conversation's id: {given[:80]}") from None


def _addressees(given: tuple[To, ...], rendered: Mapping[str, str]) -> tuple[Addressee, ...]:
    found = tuple(dict.fromkeys(_addressee(to, rendered) for to in given if not to.starter))
    if len(found) > MAX_ADDRESSEES:
        raise StepFailed("ask.addressee", f"more than {MAX_ADDRESSEES} are addressed")
    return found


class _Role(Struct, frozen=True):
    role: Annotated[Role, Meta()]


class _Resource(Struct, frozen=True):
    resource: Annotated[ResourceName, Meta()]


def _addressee(to: To, rendered: Mapping[str, str]) -> Addressee:
    try:
        if to.principal is not None:
            return Addressee("principal", id=UUID(rendered[to.principal].strip()))
        if to.role is not None:
            role = msgspec.convert({"role": rendered[to.role].strip()}, _Role).role
            return Addressee("role", role=role)
        named = msgspec.convert({"resource": rendered[to.grant or ""].strip()}, _Resource)
        return Addressee("grant", resource=named.resource)
    except (ValueError, msgspec.ValidationError) as error:
        raise StepFailed("ask.addressee", f"this is nobody who can be asked: {error}") from None
