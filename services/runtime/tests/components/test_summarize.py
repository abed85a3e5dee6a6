"""text.summarize: key sentences, in their own words and order."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.runtime.component import StepFailed
from polis.runtime.components.summary.languages import language_of
from polis.runtime.components.summary.rank import Sentence, key_sentences
from polis.runtime.components.summary.sentences import sentences

TEXT = """Dear Anna,

I hope you are well.

The delivery of the brakes is late because the ship waits in Hamburg. My desk is green.
The weather is nice. Can you tell the workshop that the brakes arrive on 14 March? The brakes cost 1,200 EUR more
than planned, since the ship has to wait.

Best regards
"""


def said(step) -> list[str]:
    return [sentence["text"] for sentence in step.out()[0]["sentences"]]


async def test_a_text_gives_its_key_sentences_in_their_order(run):
    found = said(await run("text.summarize", TEXT, sentences=3))

    assert found == [
        "The delivery of the brakes is late because the ship waits in Hamburg.",
        "Can you tell the workshop that the brakes arrive on 14 March?",
        "The brakes cost 1,200 EUR more than planned, since the ship has to wait.",
    ]


async def test_greetings_courtesies_and_footers_are_never_said(run):
    found = said(await run("text.summarize", TEXT + "\n\nUnsubscribe from this list here.", sentences=50))

    assert len(found) == 5
    assert not any(
        "hope" in sentence or "Dear" in sentence or "Unsubscribe" in sentence for sentence in found
    )


async def test_an_object_goes_on_with_sentences_in_place_of_its_text(run):
    step = await run("text.summarize", {"id": 7, "subject": "Brakes", "text": TEXT}, sentences=1)

    (item,) = step.out()
    assert item["id"] == 7
    assert "text" not in item
    assert len(item["sentences"]) == 1


async def test_sentences_of_a_thread_say_who_wrote_them_and_when(run):
    mails = [
        {"from": {"name": "Anna", "address": "a@x"}, "date": "2026-03-01T09:00:00Z", "text": "The roof leaks above the new lathe."},
        {"from": {"name": "", "address": "t@x"}, "date": None, "text": "A roofer comes on Monday at eight."},
    ]  # fmt: skip
    step = await run("text.summarize", {"subject": "Roof", "mails": mails})

    assert step.out()[0]["sentences"] == [
        {"text": "The roof leaks above the new lathe.", "from": "Anna", "date": "2026-03-01T09:00:00Z"},
        {"text": "A roofer comes on Monday at eight.", "from": "t@x", "date": None},
    ]


async def test_characters_are_bounded_but_one_sentence_is_always_said(run):
    long = "This one sentence is rather long and goes on and on about brakes, ships and the weather in the harbour."

    assert said(await run("text.summarize", f"{long} {long[:-1]} again.", max_chars=40)) == [long]


@pytest.mark.parametrize(
    "nothing", ["", "Hi Tom,", "\n\n", "ok", {"subject": "x"}, {"mails": []}, "https://example.org"]
)
async def test_where_nothing_is_said_nothing_is_picked(run, nothing):
    assert said(await run("text.summarize", nothing)) == []


async def test_what_has_no_text_is_refused_with_the_field(run):
    with pytest.raises(StepFailed, match=r"\$\.text"):
        await run("text.summarize", {"text": 3})


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The bikes are in the shop and we have to go", "en"),
        ("Die Räder sind in der Werkstatt und wir müssen gehen", "de"),
        ("Les vélos sont dans le magasin et nous devons partir", "fr"),
        ("Las bicicletas están en la tienda y no hay más que hacer", "es"),
        ("自転車はお店にあります", "ja"),
        ("自行车在商店里", "zh"),
        ("Велосипеды в магазине", "ru"),
        ("", "en"),
    ],
)
def test_the_language_is_guessed(text, language):
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("de", "Wir liefern z. B. am 24. März an Herrn Dr. Groß. Passt Ihnen das so?", 2),
        ("en", "We paid $3.50 to Acme Inc. on Jan. 5 at 10 a.m. in cash. Is that right?", 2),
        ("ja", "自転車を購入したいと思います。4月20日までに届きますか。", 2),
        (
            "en",
            "This line was broken by a mail program because it was\nlonger than seventy characters, as many are.",
            1,
        ),
        ("en", "Three points remain:\n- the price of the new bike\n- the photo for page nine\n", 3),
        ("en", "x" * 700 + ".", 0),
    ],
)
def test_sentences_are_told_apart_by_the_rules_of_their_language(language, text, found):
    assert len(sentences(text, language)) == found


@given(st.lists(st.text(max_size=120), max_size=30), st.integers(1, 10), st.integers(40, 500))
def test_whatever_is_picked_is_there_in_order_once_and_within_bounds(texts, count, max_chars):
    all_ = [Sentence(text, place) for place, text in enumerate(texts)]

    picked = key_sentences(all_, title="", count=count, max_chars=max_chars)

    assert picked == sorted(set(picked))
    assert len(picked) <= count
    assert len(picked) == 1 or sum(len(texts[index]) for index in picked) <= max_chars
    assert picked == key_sentences(all_, title="", count=count, max_chars=max_chars)
    assert bool(picked) == bool(texts)


def test_a_sentence_said_twice_is_picked_once():
    all_ = [
        Sentence("The brakes arrive on Monday in Hamburg."),
        Sentence("The brakes arrive on Monday, in Hamburg!"),
    ]

    assert key_sentences(all_, title="", count=2, max_chars=600) == [0]


@given(st.text(max_size=500), st.sampled_from(["en", "de", "ja", "fr"]))
def test_any_text_has_sentences_or_none(text, language):
    for sentence in sentences(text, language):
        assert "\n" not in sentence


def test_a_long_thread_is_summarized_in_bounded_time():
    all_ = [
        Sentence(f"Point {n} about brakes, ships and order {n % 17} in week {n % 5}.", n % 4)
        for n in range(300)
    ]
    began = time.process_time()

    key_sentences(all_, title="Brakes", count=5, max_chars=600)

    assert time.process_time() - began < 2
