"""The words of messaging: titles, texts, numbers of entries, kinds and roles."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from polis.proto.names import TITLE

MAX_SEQ = 2**53 - 1
"""What every JSON reader and a PostgreSQL bigint hold exactly."""
MAX_TEXT = 32_768
MAX_PARTS = 16
MAX_MENTIONS = 32
MAX_DAYS = 36_500

# `(?!\n)`: in Python's dialect `$` also matches before a newline at the end; in JSON Schema's it does not.
Title = Annotated[
    str,
    Meta(
        max_length=120,
        pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)",
        description="A name for people to read.",
        examples=["Release 2"],
    ),
]
NewTitle = Annotated[
    str,
    Meta(
        max_length=120,
        pattern=TITLE,
        description="A name for people to read, with something to see and no control characters; or none.",
        examples=["Release 2"],
    ),
]
Text = Annotated[
    str,
    Meta(
        max_length=MAX_TEXT,
        pattern=r"^[^\x00]*$",
        description="Markdown (CommonMark).",
        examples=["Hello **Tom**"],
    ),
]
Seq = Annotated[
    int, Meta(ge=1, le=MAX_SEQ, description="Number of an entry of the conversation.", examples=[7])
]
Position = Annotated[
    int, Meta(ge=0, le=MAX_SEQ, description="The last entry that the caller has; 0: none.", examples=[7])
]
ClientId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[!-~]+$(?!\n)",
        description="Chosen by the sender, one for each message: posting it again changes nothing.",
        examples=["0190d3c4-1c2f"],
    ),
]
Alias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9-]+$(?!\n)",
        description="Id of a principal, or key or number of an agent.",
        examples=["sarah"],
    ),
]
Emoji = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=16,
        pattern=r"^[^\x00-\x20\x7f]+$(?!\n)",
        description="An emoji or a short word.",
        examples=["👍"],
    ),
]
Days = Annotated[
    int, Meta(ge=0, le=MAX_DAYS, description="Days that messages are kept; 0: for ever.", examples=[90])
]
ConversationKind = Annotated[
    Literal["direct", "group", "channel", "agents"],
    Meta(description="Of two; of those who are asked; of an org, to join; of agents.", examples=["group"]),
]
MadeKind = Annotated[Literal["group", "channel", "agents"], Meta(examples=["group"])]
ConversationVisibility = Annotated[
    Literal["private", "org"],
    Meta(description="Who sees it without taking part: nobody, or everybody in the org.", examples=["org"]),
]
ParticipantRole = Annotated[
    Literal["owner", "admin", "member", "observer"],
    Meta(description="Observers read and say nothing.", examples=["member"]),
]
ParticipantState = Annotated[
    Literal["joined", "invited", "left", "removed", "banned"], Meta(examples=["joined"])
]
EntryKind = Annotated[
    Literal[
        "created",
        "changed",
        "responsible",
        "handoff",
        "participant",
        "posted",
        "edited",
        "deleted",
        "reacted",
        "pinned",
        "control",
        "turn",
    ],
    Meta(
        description=(
            "What happened: to the conversation, to who is responsible for it, to somebody in it, to a message, to who speaks, or to "
            "whose turn it is to answer."
        ),
        examples=["posted"],
    ),
]
