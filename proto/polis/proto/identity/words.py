"""The words of identity: addresses, names, keys, scopes and the roles that bundle them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

# `(?!\n)`: in Python's dialect `$` also matches before a newline at the end; in JSON Schema's it does not.
Email = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=254,
        pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f]+$(?!\n)",
        description="An e-mail address.",
        examples=["ada@example.org"],
    ),
]
GivenEmail = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=r"^[^\x00]*$",
        description="The e-mail address of an account.",
        examples=["ada@example.org"],
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=10,
        max_length=256,
        description="At least 10 characters.",
        examples=["correct horse battery staple"],
    ),
]
GivenPassword = Annotated[str, Meta(max_length=256, examples=["correct horse battery staple"])]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=120,
        pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)",
        description="A name for people to read.",
        examples=["Ada Lovelace"],
    ),
]
AgentKey = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{0,62}$(?!\n)",
        description="Short name of an agent, unique in its org.",
        examples=["sarah"],
    ),
]
AgentRef = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[A-Za-z0-9-]+$(?!\n)",
        description="Id or key of an agent.",
        examples=["sarah"],
    ),
]
Token = Annotated[
    str,
    Meta(min_length=1, max_length=4096, description="An opaque token.", examples=["fTq0pYw3sZk9"]),
]
Scope = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[a-z]+:[a-z]+$(?!\n)",
        description="`<service>:<verb>`.",
        examples=["catalog:read"],
    ),
]
Role = Annotated[Literal["owner", "admin", "member", "viewer"], Meta(examples=["member"])]
PrincipalKind = Annotated[Literal["user", "agent", "service"], Meta(examples=["user"])]

_READ = frozenset({"identity:read", "catalog:read", "runtime:read"})
_WORK = _READ | {"identity:agents", "catalog:write", "runtime:run"}
_MANAGE = _WORK | {"identity:members"}
ROLE_SCOPES: dict[str, frozenset[str]] = {
    "viewer": _READ,
    "member": _WORK,
    "admin": _MANAGE,
    "owner": _MANAGE | {"identity:owners"},
    "agent": _READ | {"catalog:write", "runtime:run"},
}
"""Roles as bundles of scopes. Agents are not members: their bundle is `agent`."""
