"""The graph email-digest on the sample mailbox, node by node in the graph's order."""

import re
from pathlib import Path

import pytest

from polis.graph import builtin
from polis.testing.mailbox import mbox

SAMPLE = Path(__file__).parents[4] / "samples" / "mailbox.mbox"
GRAPH = builtin.graphs()["email-digest"]


@pytest.fixture
def digest(run):
    async def digest(content: bytes) -> tuple[str, list[dict]]:
        def node(name):
            return GRAPH.nodes[name].component

        def config(name):
            return GRAPH.nodes[name].config

        file = {"artifact_id": "f", "name": "mailbox.mbox", "size": len(content)}
        read = await run(node("read"), ports=[{"mailbox": file}], files={"f": content}, **config("read"))
        personal = await run(node("personal"), *read.out("mail"), **config("personal"))
        group = await run(node("group"), ports=[{"mail": mail} for mail in personal.out()], **config("group"))
        summaries = await run(node("summarize"), *group.out("thread"), **config("summarize"))
        gathered = await run(node("gather"), *summaries.out(), **config("gather"))
        parts = {"a": gathered.out()[0], "b": read.out("report")[0], "c": group.out("report")[0]}
        joined = await run(node("join"), ports=[parts], **config("join"))
        written = await run(node("write"), *joined.out(), **config("write"))
        measured = await run(node("measure"), *written.out(), **config("measure"))
        recorded = await run(node("record"), *measured.out(), **config("record"))
        assert recorded.out() == [{"characters": len(written.out()[0])}]
        return written.out()[0], gathered.out()[0]

    return digest


async def test_the_sample_mailbox_becomes_a_digest_of_its_six_conversations(digest):
    text, threads = await digest(SAMPLE.read_bytes())

    assert text.startswith(
        "# Email digest\n\n16 mails read, 4 of them bulk mail and left out. Conversations: 6.\n"
    )
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Spring catalogue: print deadline",
        "Squeaking brakes after two weeks",
        "Heating off on Saturday",
        "Facture 2026-118 \u2013 quantité erronée",
        "見積書のお願い\uff08折りたたみ自転車12台\uff09",
        "Lieferverzögerung Felgen für Auftrag 4711",
    ]
    assert [thread["count"] for thread in threads] == [4, 1, 1, 1, 2, 3]


@pytest.mark.parametrize(
    "said",
    [
        "by Friday 6 March, 12:00",
        "may I promise that? \u2014 Priya Nair",
        "\n2026-03-05 \u00b7 Priya Nair, Tom Baker, Anna Lindner \u00b7 mails: 4\n",
        "\nAttached: catalogue-proof.pdf, Seite 14 \u2013 Brücke.png\n",
        "\nAttached: Squeaking brakes after two weeks.eml\n",
        "送料を含めた見積書を3月13日までにお送りください。 \u2014 田中 健",
        "24. März ist nun fest zugesagt",
        "une facture corrigée de 1 020 € avant le 15 mars",
        "heating in the workshop building will be switched off",
    ],
)
async def test_the_digest_says_what_matters(digest, said):
    text, _ = await digest(SAMPLE.read_bytes())

    assert said in text


@pytest.mark.parametrize(
    "noise",
    ["Best regards", "Grüßen", "お世話になって", "vertraulich", "wrote:", "schrieb", "Gesendet:", "> ", "good weekend",
     "tariffs", "torque wrench", "out of the office", "on its way", "Sent from my phone", "track()", "\ufffd"],
)  # fmt: skip
async def test_quotes_signatures_footers_and_bulk_mail_are_not_in_it(digest, noise):
    text, _ = await digest(SAMPLE.read_bytes())

    assert noise not in text


async def test_the_same_mailbox_gives_the_same_digest(digest):
    content = SAMPLE.read_bytes()

    assert await digest(content) == await digest(content)


async def test_a_mailbox_of_bulk_mail_alone_says_so(digest):
    content = b"From a Mon Mar  2 09:15:00 2026\nFrom: news@example.org\nList-Id: n\nSubject: x\n\nBuy.\n"

    text, threads = await digest(content)

    assert text == (
        "# Email digest\n\n1 mails read, 1 of them bulk mail and left out. Conversations: 0.\n\nNo mail from people.\n"
    )
    assert threads == []


async def test_the_digest_of_two_thousand_mails_fits_into_one_answer_and_says_what_it_leaves_out(digest):
    text, threads = await digest(b"".join(mbox(2_000)))

    assert text.startswith("# Email digest\n\n2000 mails read")
    assert len(threads) == 250
    assert re.search(r"\n\d+ older conversations are not listed\.\n$", text)
    assert len(text.encode()) < 900_000
