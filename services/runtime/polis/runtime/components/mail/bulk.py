"""Whether a machine sent a mail to many, by its headers (RFC 2369, 2919, 3834, 8058): data for a filter, no verdict."""

from __future__ import annotations

import re
from collections.abc import Callable

_NO_REPLY = re.compile(
    r"^(?:no-?_?\.?reply|do-?_?not-?_?reply|donotreply|nicht-?antworten|ne-?pas-?repondre|mailer-daemon|postmaster"
    r"|bounces?|notifications?|newsletters?|news|marketing|mailings?)(?:[+._-].*)?@",
    re.IGNORECASE,
)
_ANY_NO_REPLY = re.compile(r"(?:^|[+._-])(?:no-?reply|do-?not-?reply)(?:[+._-].*)?@", re.IGNORECASE)


def bulk_reason(first: Callable[[str], str], sender: str) -> str | None:
    """Why a mail counts as bulk; None for one that a person wrote. `first` gives a header's first value or ''."""
    automatic = first("auto-submitted").split(";")[0].strip().lower()[:40]
    if automatic and automatic != "no":
        return f"automatic ({automatic})"
    if first("precedence").strip().lower() in ("bulk", "list", "junk", "auto_reply"):
        return f"precedence {first('precedence').strip().lower()}"
    for name in ("list-unsubscribe", "list-id", "feedback-id", "x-autoreply", "x-autorespond"):
        if first(name).strip():
            return name
    if first("return-path").strip() == "<>":
        return "automatic (empty return path)"
    if _NO_REPLY.match(sender) or _ANY_NO_REPLY.search(sender):
        return "no-reply sender"
    return None
