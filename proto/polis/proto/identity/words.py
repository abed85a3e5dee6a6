"""The words of identity: addresses, names, keys, scopes and the roles that bundle them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from polis.proto.names import NAME

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
NewName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=120,
        pattern=NAME,
        description="A name for people to read, with something to see and no control characters.",
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
        description="Id, key or number of an agent.",
        examples=["sarah"],
    ),
]
AgentNumber = Annotated[
    int, Meta(ge=1, le=1_000_000_000, description="Number of an agent, unique in its org.", examples=[7])
]
Key = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{0,62}$(?!\n)",
        description="Short name, unique among its kind in the org.",
        examples=["billing"],
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
Scopes = Annotated[tuple[Scope, ...], Meta(max_length=64)]
Overlap = Annotated[
    int,
    Meta(ge=0, le=2_592_000, description="Seconds for which the old secret still holds.", examples=[86_400]),
]
Role = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{0,62}$(?!\n)",
        description="`owner`, `admin`, `member`, `viewer`, or a role of the org's own.",
        examples=["member"],
    ),
]
PrincipalKind = Annotated[Literal["user", "agent", "application", "service"], Meta(examples=["user"])]
"""`application`: an org's own program. `service`: a service of the mesh, so no org's program passes for one."""

_READ = frozenset({"identity:read", "catalog:read", "runtime:read", "messaging:read"})
_WORK = _READ | {
    "identity:agents",
    "identity:keys",
    "identity:secrets",
    "catalog:write",
    "messaging:write",
    "messaging:control",
    "runtime:run",
    "runtime:answer",
    "runtime:work",
}
_MANAGE = _WORK | {
    "identity:members",
    "identity:access",
    "identity:units",
    "identity:quotas",
    "identity:audit",
    "messaging:announce",
    "runtime:manage",
}
ROLE_SCOPES: dict[str, frozenset[str]] = {
    "viewer": _READ,
    "member": _WORK,
    "admin": _MANAGE,
    "owner": _MANAGE | {"identity:owners"},
    "agent": _READ
    | {
        "catalog:write",
        "messaging:write",
        "messaging:control",
        "runtime:run",
        "runtime:answer",
        "runtime:work",
    },
    "administrator": _MANAGE | {"identity:limits"},
}
"""Roles as bundles of scopes. Agents and applications are not members: their bundle is `agent`. Who administers the mesh
comes into an org as `administrator`."""
MEMBER_ROLES = ("owner", "admin", "member", "viewer")
"""The roles of members that every org has; others are its own."""
