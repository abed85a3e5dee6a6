"""What a writer added is told from what is quoted, signed or stamped below."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.runtime.components.mail.quotes import own_words

OUTLOOK = "Von: Anna <anna@example.org>\nGesendet: Montag, 2. März 2026 09:15\nAn: Jürgen\nBetreff: Termin\n\nKönnen wir?"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Yes.\n\nOn Mon, Mar 2, 2026 at 9:15 AM Anna <anna@example.org> wrote:\n> Can we?\n", "Yes."),
        ("Yes.\n\nOn Mon, Mar 2, 2026 at 9:15 AM Anna Meier\n<anna@example.org> wrote:\n\n> Can we?", "Yes."),
        ("Ja.\n\nAm 02.03.26 um 09:15 schrieb Anna Meier:\n> Geht das?", "Ja."),
        ("Oui.\n\nLe lun. 2 mars 2026 à 09:15, Anna <a@example.org> a écrit :\n\nPouvez-vous ?", "Oui."),
        ("はい。\n\n2026年3月2日(月) 9:15 Anna <anna@example.org>:\n> 質問", "はい。\n\n2026年3月2日(月) 9:15 Anna <anna@example.org>:"),
        ("> Can we?\n\nYes.\n\n> Where?\n\nHere.", "Yes.\n\nHere."),
        (f"Passt.\n\n{OUTLOOK}", "Passt."),
        ("Done.\n\n-----Original Message-----\nFrom: x\nold", "Done."),
        ("Done.\n\n________________________________\nFrom: A\nSent: B\nTo: C\nold", "Done."),
        ("See below.\n\n---------- Forwarded message ---------\nFrom: B\nDate: today\nTo: A\n\nPrices rise.", "See below.\n\nPrices rise."),
        ("FYI\n\nBegin forwarded message:\n\n> From: B\n> Date: today\n>\n> Prices rise.", "FYI\n\nPrices rise."),
        (OUTLOOK, "Können wir?"),
        ("Text.\n\n-- \nAnna\nTel. 123", "Text."),
        ("Text.\n\nBest regards,\nTom\n\nThis e-mail is confidential and intended for you.\nDelete it.", "Text."),
        ("Text.\n\nMit freundlichen Grüßen\nJürgen Groß\nLeiter Vertrieb", "Text."),
        ("本文です。\n\nよろしくお願いいたします。\n田中", "本文です。"),
        ("Thanks!\nThe meeting is at ten tomorrow.\n\nAnna", "Thanks!\nThe meeting is at ten tomorrow.\n\nAnna"),
        ("Text.\n\nSent from my phone", "Text."),
        ("Points:\n- one\n- two", "Points:\n- one\n- two"),
        ("As he wrote:\nall is well.", "As he wrote:\nall is well."),
        ("", ""),
    ],
)  # fmt: skip
def test_own_words(text, own):
    assert own_words(text) == own


@given(st.lists(st.sampled_from(["> q", "", "On 2 Mar x wrote:", "text here", "-- ", "From: a", "To: b", "Date: c", "Thanks,", "_____"]), max_size=25))  # fmt: skip
def test_nothing_is_said_that_was_not_written(lines):
    text = "\n".join(lines)

    written = {line.removeprefix(">").strip() for line in lines}
    assert {line.strip() for line in own_words(text).split("\n")} <= written | {""}


@pytest.mark.parametrize(
    "hostile",
    [
        "> " * 20_000, "\n" * 20_000, "On 2 x" * 3_000 + " wrote:", ("On 2 x" * 150 + " wrote:\n") * 20, "best " * 4_000,
        "thanks\n" * 3_000, "From: a\n" * 2_500, ("word " * 190 + "\n") * 20, "-" * 20_000, " " * 20_000, "a@b<" * 5_000,
    ],
)  # fmt: skip
def test_hostile_texts_take_no_time(hostile):
    began = time.process_time()

    own_words(hostile)

    assert time.process_time() - began < 0.5
