"""What must hold of every declaration, whichever service makes it."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from msgspec import inspect

from polis.proto.contract import (
    EVERY_SERVICE,
    INTERNAL,
    PUBLIC,
    SIGNED_IN,
    Event,
    Problem,
    Request,
    events,
    fields_of,
    operations,
    problems,
)
from polis.proto.identity import ROLE_SCOPES
from polis.proto.problems import MESH_PROBLEMS
from polis.proto.registry import SERVICES
from polis.service.wire import MEMBERS
from polis.specs.openapi import places
from polis.specs.schemas import messages
from polis.testing.sweeps import sweep

NAMES = {entry.name for entry in SERVICES}
STRUCTS = [cls for name in sorted(NAMES) for cls in messages(name)]


def repeated(values):
    return [value for value, times in Counter(values).items() if times > 1]


def scalar(info):
    match info:
        case inspect.Metadata():
            return scalar(info.type)
        case inspect.UnionType():
            return all(scalar(member) for member in info.types)
    return not isinstance(
        info,
        inspect.StructType | inspect.ListType | inspect.VarTupleType | inspect.DictType | inspect.CustomType,
    )


def leaves(info, path):
    """Every type inside a message that holds no other, with where it stands."""
    match info:
        case inspect.Metadata():
            yield from leaves(info.type, path)
        case inspect.StructType():
            for field in info.fields:
                yield from leaves(field.type, f"{path}.{field.name}")
        case inspect.UnionType():
            for member in info.types:
                yield from leaves(member, path)
        case inspect.ListType() | inspect.VarTupleType():
            yield from leaves(info.item_type, f"{path}[]")
            yield path, info
        case inspect.DictType():
            yield from leaves(info.value_type, f"{path}[...]")
        case _:
            yield path, info


def leaves_of(structs):
    return [leaf for cls in structs for leaf in leaves(inspect.type_info(cls), cls.__name__)]


@sweep(STRUCTS, lambda cls: cls.__name__)
def test_every_message_says_what_it_is_in_a_sentence_of_its_own(struct):
    text = (struct.__doc__ or "").strip()

    assert text not in {(base.__doc__ or "").strip() for base in (Request, Event, Problem)}
    assert re.match(r"[A-Z].*[.]", text.partition("\n")[0]), f"{struct.__name__}: {text!r}"


def test_no_two_messages_share_a_name_so_that_schemas_can_be_called_by_it():
    assert repeated(cls.__name__ for cls in STRUCTS) == []


def test_subjects_routes_and_names_of_operations_are_unique():
    assert repeated(o.subject for o in operations()) == []
    assert repeated((o.verb, o.path) for o in operations() if o.path) == []
    assert repeated(o.name for o in operations()) == []


def test_no_two_routes_differ_only_in_the_names_of_their_parameters():
    assert repeated((o.verb, re.sub(r"{\w+}", "{}", o.path)) for o in operations() if o.path) == []


def test_types_of_problems_are_unique_and_under_their_service():
    assert repeated(problem.type for problem in problems()) == []
    assert all(re.fullmatch(r"/problems/([a-z]+/)?[a-z-]+", problem.type) for problem in problems())


@sweep(operations(), lambda o: o.name)
def test_a_path_names_required_plain_fields_of_its_request(operation):
    fields = {f.name: f for f in inspect.type_info(operation.request).fields}

    for name in re.findall(r"{(\w+)}", operation.path or ""):
        assert name in fields
        assert fields[name].required
        assert name != operation.raw_body
        assert scalar(fields[name].type)


@sweep(operations(), lambda o: o.name)
def test_what_stands_in_a_query_is_one_plain_value(operation):
    fields = {f.name: f for f in inspect.type_info(operation.request).fields}
    _, query, _ = places(operation)

    assert [name for name in query if not scalar(fields[name].type)] == []


@sweep(operations(), lambda o: o.name)
def test_an_operation_is_reachable_and_its_scope_is_one_that_somebody_can_hold(operation):
    known = {PUBLIC, SIGNED_IN, INTERNAL} | set().union(*ROLE_SCOPES.values())

    assert operation.scope in known
    assert operation.path or operation.callers, "neither a route nor a caller"
    assert operation.scope != INTERNAL or (operation.callers and not operation.path)
    assert not operation.local or operation.path


TO_ITSELF = {"start_child"}
"""Asked of the runtime by a run of its own, with that run's token: what this allows is all that its child may do."""


@sweep(operations(), lambda o: o.name)
def test_callers_are_registered_services_other_than_its_own(operation):
    assert set(operation.callers) <= NAMES | {EVERY_SERVICE}
    assert operation.service not in operation.callers or operation.name in TO_ITSELF


def test_scopes_of_roles_are_of_registered_services():
    assert {scope.partition(":")[0] for scopes in ROLE_SCOPES.values() for scope in scopes} <= NAMES


@sweep(events(), lambda e: e.fact)
def test_an_event_is_heard_by_registered_services_and_ordered_by_a_field_that_it_has(event):
    assert set(event.listeners) <= NAMES
    assert event.entity in event.event.__struct_fields__
    assert issubclass(event.event, Event)


@sweep(events(), lambda e: e.fact)
def test_the_entity_of_an_event_is_one_token_of_a_subject(event):
    kind = fields_of(event.event)[event.entity]
    info = inspect.type_info(kind)

    assert isinstance(info, inspect.UUIDType), "a text may hold dots, stars or spaces"


@sweep(events(), lambda e: e.fact)
def test_no_event_carries_a_credential(event):
    secret = re.compile(r"token|secret|password|credential|cookie")

    assert [path for path, _ in leaves_of([event.event]) if secret.search(path)] == []


def test_every_problem_is_declared_by_some_operation_or_is_the_meshs_own():
    declared = {problem for operation in operations() for problem in operation.problems}

    assert {problem.__name__ for problem in problems()} == {p.__name__ for p in declared | set(MESH_PROBLEMS)}


@sweep(problems(), lambda p: p.__name__)
def test_the_facts_of_a_problem_have_other_names_than_what_every_problem_has(problem):
    assert set(problem.__struct_fields__).isdisjoint(MEMBERS)
    assert 400 <= problem.status < 600
    assert problem.title


@sweep(problems(), lambda p: p.__name__)
def test_a_problem_that_may_pass_says_when_to_try_again(problem):
    assert not problem.retryable or "retry_after_s" in problem.__struct_fields__
    assert not problem.retryable or problem.status in (429, 503)


def test_whatever_a_caller_sends_has_a_bound():
    sent = leaves_of([o.request for o in operations()])

    assert [path for path, info in sent if not bounded(info)] == []


def bounded(info):
    match info:
        case inspect.StrType():
            endless = info.pattern is None or re.search(r"[*+]|{\d+,}", info.pattern)
            return info.max_length is not None or not endless
        case inspect.IntType():
            least, most = (info.ge, info.gt), (info.le, info.lt)
            return any(b is not None for b in least) and any(b is not None for b in most)
        case inspect.FloatType():
            return info.le is not None or info.lt is not None
        case inspect.ListType() | inspect.VarTupleType():
            return info.max_length is not None
    return True


@pytest.mark.parametrize(
    "pattern",
    sorted({i.pattern for _, i in leaves_of(STRUCTS) if isinstance(i, inspect.StrType) and i.pattern}),
)
def test_no_pattern_lets_a_newline_or_a_nul_slip_through_at_the_end(pattern):
    """Python's `$` matches before a final newline, and PostgreSQL's text holds no NUL."""
    value = next(text for text in _TEXTS if re.search(pattern, text))

    assert not re.search(pattern, value + "\0")
    assert not re.search(pattern, value + "\n") or re.search(pattern, "two\nlines\n")


_TEXTS = (
    "abc",
    "1",
    "a@b.cd",
    "a.b",
    "a/b",
    "a:b",
    "0" * 64,
    "A" * 43,
    "A" * 86,
    "2026-12-24",
    "2026-12-24T18:00",
    "18:00",
    "https://a.b/c",
)


def test_every_moment_has_its_offset_from_utc():
    moments = [(p, i) for p, i in leaves_of(STRUCTS) if isinstance(i, inspect.DateTimeType)]

    assert moments
    assert [path for path, info in moments if info.tz is not True] == []
