"""Problems on the wire."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from polis.proto import catalog
from polis.proto.problems import Fault, Internal, Invalid, Overloaded
from polis.service.wire import RemoteProblem, decode_problem, encode_problem

NOBODY = UUID(int=7)


def test_a_problem_is_one_flat_object_with_its_facts_beside_the_standard_members():
    payload = encode_problem(
        catalog.RevisionConflict(expected=3, actual=4), detail="Somebody was faster.", instance="0af7"
    )

    assert msgspec.json.decode(payload) == {
        "type": "/problems/catalog/revision-conflict",
        "title": "The draft was changed by somebody else since it was read.",
        "status": 409,
        "detail": "Somebody was faster.",
        "instance": "0af7",
        "expected": 3,
        "actual": 4,
    }


def test_detail_and_instance_are_left_out_when_there_are_none():
    assert msgspec.json.decode(encode_problem(Internal())).keys() == {"type", "title", "status"}


@pytest.mark.parametrize(
    "problem",
    [
        Internal(),
        Overloaded(retry_after_s=0.5),
        Invalid(faults=(Fault(pointer="/a", detail="b"),)),
        catalog.ArtifactNotFound(artifact_id=NOBODY),
    ],
)
def test_a_problem_comes_back_as_it_was_with_its_detail(problem):
    assert decode_problem(encode_problem(problem, detail="why")) == (problem, "why")


def test_an_unknown_problem_keeps_its_status_title_and_facts_and_travels_on_unchanged():
    payload = b'{"type":"/problems/x/new","title":"New.","status":418,"detail":"d","tea":"green"}'

    problem, detail = decode_problem(payload)

    assert problem == RemoteProblem("/problems/x/new", "New.", 418, {"tea": "green"})
    assert detail == "d"
    assert msgspec.json.decode(encode_problem(problem, detail=detail)) == msgspec.json.decode(payload)


def test_a_known_problem_whose_fields_do_not_fit_is_kept_as_a_remote_one():
    problem, _ = decode_problem(b'{"type":"/problems/overloaded","title":"T","status":429}')

    assert problem == RemoteProblem("/problems/overloaded", "T", 429, {})


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b'{"status":"no"}'])
def test_what_is_no_problem_at_all_is_a_remote_one_of_status_500(payload):
    problem, detail = decode_problem(payload)

    assert (problem.type, problem.status, detail) == ("about:blank", 500, "")
