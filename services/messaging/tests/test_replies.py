"""What a reply to an ask says: what is clear is an answer, and nothing is guessed."""

from __future__ import annotations

from uuid import uuid4

import pytest

from polis.messaging.asked.words import Said, text_of, understood
from polis.proto.messaging import MessagePart
from polis.proto.runtime import AskInTalk, Choice

DECISIONS = {
    "approval": ("approve", "deny"),
    "handoff": ("done", "decline"),
    "input": ("submit",),
    "choice": ("red", "blue"),
    "vote": ("red", "blue"),
}


def shown(kind):
    choices = (Choice("red", "Dark red"), Choice("blue")) if kind in ("choice", "vote") else ()
    return AskInTalk(kind, "open", "Well?", "", uuid4(), uuid4(), DECISIONS[kind], choices)


@pytest.mark.parametrize(
    ("kind", "text", "decision"),
    [
        ("approval", "yes", "approve"),
        ("approval", " OK. ", "approve"),
        ("approval", "No!", "deny"),
        ("approval", "always", None),
        ("approval", "yes and no", None),
        ("approval", "", None),
        ("handoff", "Done", "done"),
        ("handoff", "no", "decline"),
        ("choice", "dark RED", "red"),
        ("choice", "blue", "blue"),
        ("choice", "yes", None),
        ("vote", "red blue", None),
        ("input", "submit", None),
        ("input", '{"n": 1}', None),
    ],
)
def test_a_text_is_an_answer_if_it_says_one_of_the_decisions_and_no_more(kind, text, decision):
    assert understood(shown(kind), text, ()) == (None if decision is None else Said(decision))


def test_a_form_says_decision_and_value_and_two_forms_say_nothing():
    values = MessagePart("form", content={"value": {"n": 1}, "note": "so"})
    denied = MessagePart("form", content={"decision": "deny"})

    assert understood(shown("input"), "", (values,)) == Said("submit", {"n": 1}, "so")
    assert understood(shown("approval"), "yes", (denied,)) == Said("deny")
    assert understood(shown("approval"), "yes", (values,)) is None
    assert understood(shown("approval"), "yes", (denied, denied)) is None
    assert "`red`, `blue`" in text_of(shown("vote"))
