"""What a reply to an ask says: one of its decisions, or nothing that is clear. Nothing is guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from polis.proto.messaging import MessagePart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.proto.runtime import AskInTalk

PART: Final = "ask"
"""The kind of the part by which an ask appears; nobody but messaging makes one."""
_FORM = "form"
_YES = frozenset({"yes", "y", "ok", "okay"})
_NO = frozenset({"no", "n"})
_MEANT: dict[str, dict[str, frozenset[str]]] = {
    "approval": {"approve": _YES | {"approve", "approved"}, "deny": _NO | {"deny", "denied"}},
    "handoff": {"done": _YES | {"done"}, "decline": _NO | {"decline", "declined"}},
}
_MOST_NOTE = 2_000


AGAIN: Final = "This could not be answered just now. Say it again."


class Said(Struct, frozen=True):
    """An answer to an ask."""

    decision: str
    value: object = None
    note: str = ""


def part_of(ask_id: object, shown: AskInTalk) -> MessagePart:
    content: dict[str, object] = {
        "ask_id": str(ask_id),
        "kind": shown.kind,
        "decisions": list(shown.decisions),
    }
    if shown.choices:
        content["choices"] = [{"key": each.key, "title": each.title} for each in shown.choices]
    if shown.form is not None:
        content["form"] = shown.form
    return MessagePart(PART, shown.title[:120], content)


def text_of(shown: AskInTalk) -> str:
    """What an ask says to who reads nothing but texts."""
    return "\n\n".join(each for each in (f"**{shown.title}**", shown.text, _how(shown)) if each)


def understood(shown: AskInTalk, text: str, parts: Sequence[MessagePart]) -> Said | None:
    """What a reply answers; None where it is not clear."""
    forms = [part.content for part in parts if part.kind == _FORM and part.content is not None]
    if len(forms) == 1:
        return _filled(shown, forms[0])
    word = text.strip().rstrip(".!").strip().casefold()
    found = [decision for decision in shown.decisions if word in _names(shown, decision)]
    return Said(found[0]) if len(found) == 1 and not forms else None


def unclear(shown: AskInTalk) -> str:
    return f"This is no answer that I can be sure of. {_how(shown)}"


def _how(shown: AskInTalk) -> str:
    if shown.kind == "input":
        return "Answer by a reply with a form: its values as `value`."
    named = ", ".join(f"`{each}`" for each in shown.decisions)
    return f"Answer by a reply with one of: {named}."


def _names(shown: AskInTalk, decision: str) -> frozenset[str]:
    """Words that mean a decision: of an input none, for its values come by a form."""
    if shown.kind == "input":
        return frozenset()
    titles = {each.title.strip().casefold() for each in shown.choices if each.key == decision and each.title}
    return frozenset({decision, *titles}) | _MEANT.get(shown.kind, {}).get(decision, frozenset())


def _filled(shown: AskInTalk, content: dict[str, object]) -> Said | None:
    decision = content.get("decision", "submit" if shown.kind == "input" else None)
    note = content.get("note", "")
    if not isinstance(decision, str) or decision not in shown.decisions or not isinstance(note, str):
        return None
    return Said(decision, content.get("value"), note[:_MOST_NOTE])
