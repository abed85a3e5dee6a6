"""mail.threads: which mails belong together."""

import pytest

from polis.runtime.component import StepFailed
from polis.runtime.components.mail.conversation import subject_of

ANNA, TOM = {"name": "Anna", "address": "anna@example.org"}, {"name": "Tom", "address": "tom@example.org"}


def mail(number: int, subject: str = "Plan", **more) -> dict:
    return {
        "id": f"id{number}",
        "message_id": f"{number}@x",
        "from": ANNA if number % 2 else TOM,
        "to": [TOM if number % 2 else ANNA],
        "subject": subject,
        "date": f"2026-03-{number:02}T09:00:00Z",
        "text": f"Text {number}.",
        "attachments": [],
        "bulk": False,
        **more,
    }


async def threads(run, *mails, **config):
    return await run("mail.threads", ports=[{"mail": mail} for mail in mails], **config)


def grouped(step) -> list[list[str]]:
    return [[part["id"] for part in thread["mails"]] for thread in step.out("thread")]


async def test_answers_are_with_what_they_answer_in_the_order_of_time(run):
    step = await threads(
        run,
        mail(3, "Re: Plan", in_reply_to="2@x", references=["1@x", "2@x"]),
        mail(1),
        mail(2, "Re: Plan", in_reply_to="1@x"),
        mail(4, "Other"),
    )

    assert grouped(step) == [["id4"], ["id1", "id2", "id3"]]
    assert step.out("report") == [{"mails": 4, "threads": 2, "left_out": 0}]


async def test_two_answers_to_a_mail_that_is_not_there_belong_together(run):
    step = await threads(run, mail(1, "Re: A", references=["0@x"]), mail(2, "Re: B", references=["0@x"]))

    assert grouped(step) == [["id1", "id2"]]


async def test_an_answer_without_ids_joins_by_subject_and_person(run):
    step = await threads(run, mail(1, "Plan"), mail(2, "AW: [team] SV: plan"))

    assert grouped(step) == [["id1", "id2"]]


@pytest.mark.parametrize(
    "stranger",
    [
        mail(2, "Plan"),  # no answer
        mail(2, "Re: Plan B"),
        mail(2, "Re: Plan", **{"from": {"name": "", "address": "z@example.org"}, "to": []}),
        mail(2, "Re: Plan", date="2026-09-02T09:00:00Z"),
        mail(2, "Fwd: Plan"),
    ],
)
async def test_the_same_subject_alone_does_not_join(run, stranger):
    assert len(grouped(await threads(run, mail(1), stranger))) == 2


async def test_references_in_a_loop_do_no_harm(run):
    step = await threads(
        run, mail(1, references=["2@x"]), mail(2, references=["1@x", "2@x"], in_reply_to="2@x")
    )

    assert grouped(step) == [["id1", "id2"]]


async def test_a_mail_that_is_there_twice_counts_once(run):
    step = await threads(run, mail(1, text="short"), mail(1, text="the longer copy of it"))

    assert [part["text"] for part in step.out("thread")[0]["mails"]] == ["the longer copy of it"]


async def test_mails_without_date_and_id_are_kept(run):
    step = await threads(
        run, mail(1, message_id=None, date=None), mail(2, message_id=None, date="not a date"), mail(3)
    )

    assert sum(map(len, grouped(step))) == 3


async def test_a_thread_says_who_and_when_and_what_was_attached(run):
    file = {"name": "a.pdf", "type": "application/pdf", "size": 3}
    long = {"name": "Thomas Baker", "address": "tom@example.org"}
    step = await threads(
        run, mail(1, attachments=[file]), mail(2, "Re: Plan", in_reply_to="1@x", **{"from": long})
    )

    (thread,) = step.out("thread")
    assert thread["participants"] == [ANNA, long]
    assert (thread["subject"], thread["count"], thread["day"]) == ("Plan", 2, "2026-03-02")
    assert (thread["first_date"], thread["last_date"]) == ("2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z")
    assert thread["attachments"] == [file]


async def test_texts_lose_quotes_and_are_cut_at_their_bound(run):
    step = await threads(run, mail(1, text="> old\n" + "x" * 900), max_text=100)

    assert step.out("thread")[0]["mails"][0]["text"] == "x" * 100


async def test_older_threads_than_asked_for_are_counted(run):
    step = await threads(run, *(mail(n, f"Subject {n}") for n in range(1, 10)), max_threads=2)

    assert grouped(step) == [["id9"], ["id8"]]
    assert step.out("report") == [{"mails": 9, "threads": 9, "left_out": 7}]


async def test_more_mails_than_it_may_hold_are_an_error(run):
    with pytest.raises(StepFailed, match="more than 1 mails"):
        await threads(run, mail(1), mail(2), max_mails=1)


async def test_what_is_no_mail_is_refused_with_the_field(run):
    with pytest.raises(StepFailed, match=r"mail: .*`id`") as failure:
        await threads(run, {"text": "x"})

    assert failure.value.kind == "input.invalid"


async def test_no_mails_are_no_threads(run):
    step = await threads(run)

    assert step.out("thread") == []
    assert step.out("report") == [{"mails": 0, "threads": 0, "left_out": 0}]


@pytest.mark.parametrize(
    ("raw", "text", "answer"),
    [
        ("Re: Plan", "Plan", True),
        ("RE[2]: AW: Plan", "Plan", True),
        ("Fwd: WG: Plan", "Plan", False),
        ("SV: VS: Tr: Plan", "Plan", True),
        ("回复：计划", "计划", True),  # noqa: RUF001
        ("Regarding: Plan", "Regarding: Plan", False),
        ("", "", False),
        ("Re:", "", True),
    ],
)
def test_prefixes_of_subjects(raw, text, answer):
    subject = subject_of(raw)

    assert (subject.text, subject.answer) == (text, answer)
