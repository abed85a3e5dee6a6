"""What is said of resources everywhere: types, keys, contents, environments; and how large a content may be."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from polis.proto.names import TITLE

ResourceType = Annotated[
    Literal[
        "component", "graph", "assistant", "context", "integration", "executor", "ruleset", "policy", "place"
    ],
    Meta(examples=["graph"]),
]
Content = Annotated[
    dict[str, object],
    Meta(
        description="The resource itself; its shape depends on the type (`Graph`, `Component`).",
        examples=[
            {
                "nodes": {"greet": {"component": "template", "config": {"template": "Hello {{name}}!"}}},
                "inputs": {"person": {"target": "greet.in"}},
                "outputs": {"text": {"source": "greet.out"}},
            }
        ],
    ),
]
Visibility = Literal["private", "org", "public"]
# `(?!\n)`: in Python's dialect `$` also matches before a newline at the end; in JSON Schema's it does not.
ResourceKey = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9._-]{0,119}$(?!\n)",
        description="Name of a resource, unique per org and type.",
        examples=["email-digest"],
    ),
]
Environment = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{0,31}$(?!\n)",
        description="`production`, `staging`, ...",
        examples=["production"],
    ),
]
Digest = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{64}$(?!\n)",
        description="SHA-256 in hexadecimal.",
        examples=["2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"],
    ),
]
Title = Annotated[str, Meta(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)", examples=["E-mail digest"])]
NewTitle = Annotated[str, Meta(max_length=120, pattern=TITLE, examples=["E-mail digest"])]
Changelog = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*$", examples=["Drops bulk mail first."])]
Revision = Annotated[
    int, Meta(ge=1, le=2_000_000_000, description="Counts the changes of a resource's draft.")
]
VersionNumber = Annotated[int, Meta(ge=1, le=999_999_999, description="Counts a resource's versions from 1.")]
MAX_GRAPH_BYTES = 512 * 1024
"""Bytes of the canonical JSON of a graph or component: a version must fit into one message of the bus (1 MiB)."""
MAX_CONTENT_BYTES = 256 * 1024
"""Bytes of the canonical JSON of a resource of any other type."""
MAX_BODY = 768 * 1024
"""Bytes of a body that carries a content: room for spaces and escapes, and still one message of the bus."""

Tag = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$(?!\n)", description="A word to find it by.", examples=["mail"]
    ),
]
Tags = Annotated[tuple[Tag, ...], Meta(max_length=20)]
Status = Annotated[
    Literal["draft", "published", "deprecated"],
    Meta(description="`draft`: nothing is published yet; `deprecated`: nobody should begin to use it."),
]
Note = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$", examples=["Use `email-digest` instead."])]
VersionName = Annotated[
    str,
    Meta(
        pattern=r"^([0-9]{1,9}|[0-9a-f]{64})$(?!\n)",
        description="Number or SHA-256 of a version.",
        examples=["1"],
    ),
]
