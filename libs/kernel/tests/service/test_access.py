"""The decision: grants only add, conditions only take away, and nothing goes beyond the scopes that somebody holds."""

from __future__ import annotations

import fnmatch
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from polis.proto.identity import Conditions, Decision, Grant, Holder
from polis.service.access import Question, Who, decide, effective, holds, matches, weigh

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ORG = UUID(int=1)
IDS = st.integers(1, 4).map(lambda n: UUID(int=n))
VERBS = st.sampled_from(["catalog:read", "catalog:write", "runtime:run"])
CLASSES = st.sampled_from(["public", "internal", "confidential", "restricted"])
ROLES = st.sampled_from(["member", "viewer", "auditor"])
NAMES = st.sampled_from(["graph/a", "graph/ab", "artifact/a", "graph/a/b"])
PATTERNS = st.sampled_from(["graph/a", "graph/*", "*/a*", "graph/**", "**", "artifact/*b"])
holders = st.one_of(
    st.builds(Holder, st.just("principal"), id=IDS),
    st.builds(Holder, st.just("unit"), id=IDS),
    st.builds(Holder, st.just("role"), role=ROLES),
    st.just(Holder("everyone")),
)
conditions = st.builds(
    Conditions,
    expires_at=st.none() | st.integers(-2, 2).map(lambda hours: NOW + timedelta(hours=hours)),
    approval=st.booleans(),
    data_class=CLASSES,
)
grants = st.builds(
    Grant,
    st.uuids(),
    st.just(ORG),
    holders,
    VERBS,
    PATTERNS,
    st.just(ORG),
    st.just(NOW),
    conditions,
    approved_by=st.none() | IDS,
)
many = st.lists(grants, max_size=8)
persons = st.builds(Who, IDS, ROLES, st.frozensets(VERBS), st.frozensets(IDS, max_size=2))
questions = st.builds(
    Question, VERBS, NAMES, st.sampled_from(["private", "org", "public"]), st.none() | IDS, CLASSES
)
RANK = {"refused": 0, "approval": 1, "allowed": 2}


def rank(decision: Decision) -> int:
    return RANK[decision.outcome]


@given(persons, questions, many)
def test_nobody_does_what_its_scopes_do_not_hold_whatever_was_granted(who, question, given_grants):
    decision = decide(who, question, given_grants, NOW)

    assert question.verb in who.scopes or decision == Decision("refused", "scope")


@given(persons, questions, many, grants)
def test_a_further_grant_never_takes_anything_away(who, question, given_grants, further):
    before = decide(who, question, given_grants, NOW)

    assert rank(decide(who, question, [*given_grants, further], NOW)) >= rank(before)


@given(persons, questions, many, st.frozensets(VERBS))
def test_a_narrower_token_never_allows_more(who, question, given_grants, scope):
    narrowed = msgspec.structs.replace(who, scopes=effective(who.scopes, scope))

    assert rank(decide(narrowed, question, given_grants, NOW)) <= rank(
        decide(who, question, given_grants, NOW)
    )


@given(persons, questions, many, st.timedeltas(timedelta(0), timedelta(days=1)))
def test_time_passing_allows_nothing_new(who, question, given_grants, later):
    assert rank(decide(who, question, given_grants, NOW + later)) <= rank(
        decide(who, question, given_grants, NOW)
    )


@given(persons, questions, many, CLASSES)
def test_more_sensitive_data_is_never_easier_to_get(who, question, given_grants, data_class):
    least = msgspec.structs.replace(question, data_class="public")
    question = msgspec.structs.replace(question, data_class=data_class)

    assert rank(decide(who, question, given_grants, NOW)) <= rank(decide(who, least, given_grants, NOW))


@given(persons, questions, many, st.randoms(use_true_random=False))
def test_the_order_of_grants_does_not_matter(who, question, given_grants, random):
    mixed = list(given_grants)
    random.shuffle(mixed)

    assert decide(who, question, mixed, NOW) == decide(who, question, given_grants, NOW)


@given(persons, questions, many)
def test_a_private_resource_is_opened_by_its_owner_or_by_a_grant_that_fits_in_every_respect(
    who, question, given_grants
):
    question = msgspec.structs.replace(question, visibility="private")
    fitting = [
        grant
        for grant in given_grants
        if holds(grant.holder, who)
        and grant.verb == question.verb
        and matches(grant.resource, question.resource)
        and (grant.conditions.expires_at is None or grant.conditions.expires_at > NOW)
        and weigh(grant, who, question, NOW) != "data_class"
    ]

    allowed = decide(who, question, given_grants, NOW)

    expected = question.verb in who.scopes and (
        who.id == question.owner_id
        or any(grant.approved_by or not grant.conditions.approval for grant in fitting)
    )
    assert (allowed.outcome == "allowed") is expected
    assert allowed.reason != "grant" or allowed.grant_id in {grant.id for grant in fitting}


@given(persons, questions)
def test_what_is_open_to_the_org_needs_the_scope_alone(who, question):
    question = msgspec.structs.replace(question, visibility="org", owner_id=None)

    allowed = decide(who, question, [], NOW)

    assert allowed == (
        Decision("allowed", "org") if question.verb in who.scopes else Decision("refused", "scope")
    )


@given(st.frozensets(VERBS), st.frozensets(VERBS), st.frozensets(VERBS))
def test_rights_of_a_key_are_within_the_key_the_creator_and_the_org(key, creator, org):
    rights = effective(key, creator, org)

    assert rights <= key
    assert rights <= creator
    assert rights <= org
    assert rights == effective(org, key, creator)


@given(
    st.text("ab*", max_size=8).filter(bool), st.text("ab", min_size=1, max_size=8), st.text("ab", min_size=1)
)
def test_a_pattern_without_parts_is_a_glob(pattern, name, other):
    if pattern == "**":
        return

    assert matches(pattern, name) == bool(re.fullmatch(fnmatch.translate(pattern), name))
    assert not matches(pattern, f"{name}/{other}")


def test_two_stars_at_the_end_stand_for_one_part_or_more():
    assert matches("graph/**", "graph/a")
    assert matches("graph/**", "graph/a/b")
    assert not matches("graph/**", "graph")
    assert not matches("graph/**", "graphs/a")
    assert matches("**", "graph/a")


def test_a_pattern_of_stars_is_refused_as_fast_as_any():
    """A backtracking matcher would not come back from this within the life of the universe."""
    assert not matches("*a" * 100, "b" * 200)
    assert not matches("*a*" * 60 + "c", "a" * 200)
