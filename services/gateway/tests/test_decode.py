"""What the gateway refuses before anything is sent, and that it names the field."""

from __future__ import annotations

from uuid import UUID

import pytest

from polis.gateway.decode import depth_of, to_request, whole
from polis.proto import Refused, catalog, identity, messaging, runtime
from polis.proto.contract import operation_of
from polis.proto.problems import Invalid, Malformed, UnsupportedMedia

ID = "0190c0de-0000-7000-8000-000000000001"


def decode(request, *, path=None, query=b"", body=b"", media_type="application/json"):
    return to_request(operation_of(request), path or {}, query, body, media_type)


def faults(problem):
    assert isinstance(problem, Invalid)
    return {fault.pointer: fault.detail for fault in problem.faults}


def refused(request, **given):
    with pytest.raises(Refused) as refusal:
        decode(request, **given)
    return refusal.value.problem


def test_path_and_query_become_typed_fields():
    assert decode(runtime.WatchRun, path={"run_id": ID}, query=b"after=7") == runtime.WatchRun(
        run_id=UUID(ID), after=7
    )


def test_path_and_body_are_one_request():
    request = decode(catalog.PublishVersion, path={"resource_id": ID}, body=b'{"changelog": "x"}')

    assert request == catalog.PublishVersion(resource_id=UUID(ID), changelog="x")


def test_a_number_in_the_path_is_a_number():
    request = decode(
        catalog.PutPart, path={"upload_id": ID, "number": "3"}, body=b"\x00\xff", media_type="a/b"
    )

    assert request == catalog.PutPart(upload_id=UUID(ID), number=3, content=b"\x00\xff")


def test_a_body_of_text_is_not_taken_for_a_number():
    assert "/revision" in faults(
        refused(catalog.PutDraft, path={"resource_id": ID}, body=b'{"revision": "1", "content": {}}')
    )


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"body": b'{"email": "a@b.c", "password": "long enough", "name": "A", "admin": true}'}, "/admin"),
        ({"body": b'{"email": "a@b.c", "password": "long enough", "name": 7}'}, "/name"),
        ({"body": b'{"email": "no address", "password": "long enough", "name": "A"}'}, "/email"),
        ({"body": b"[]"}, ""),
        ({"body": b"{}", "query": b"name=A"}, "/name"),
    ],
)
def test_a_wrong_field_of_a_body_is_named(given, pointer):
    assert pointer in faults(refused(identity.SignUp, **given))


@pytest.mark.parametrize(
    ("path", "query", "pointer"),
    [
        ({"run_id": "x"}, b"", "/run_id"),
        ({"run_id": ID}, b"after=x", "/after"),
        ({"run_id": ID}, b"before=1", "/before"),
    ],
)
def test_a_wrong_field_of_path_or_query_is_named(path, query, pointer):
    assert pointer in faults(refused(runtime.WatchRun, path=path, query=query))


def test_all_that_is_wrong_with_path_and_query_is_named_at_once():
    told = faults(refused(runtime.WatchRun, path={"run_id": "x"}, query=b"after=x"))
    form = faults(
        refused(
            identity.TradeCredentials,
            body=b"grant_type=magic&client_id=a",
            media_type="application/x-www-form-urlencoded",
        )
    )

    assert set(told) == {"/run_id", "/after"}
    assert set(form) == {"/grant_type", "/client_secret"}


def test_a_field_of_the_path_cannot_be_given_in_the_body_too():
    assert "/run_id" in faults(
        refused(runtime.CancelRun, path={"run_id": ID}, body=b'{"run_id": "%s"}' % ID.encode())
    )


@pytest.mark.parametrize("body", [b"grant_type=%ff", b"grant_type=\xff"])
def test_a_form_that_is_no_text_is_told_what_it_should_be(body):
    told = refused(identity.TradeCredentials, body=body, media_type="application/x-www-form-urlencoded")

    assert told == Malformed(reason="form: Expected percent-encoded UTF-8")


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b'{"name": "\xff"}', b'{"a": 1}{"b": 2}', b"[" * 100_000]
)
def test_what_is_no_json_is_malformed(body):
    assert isinstance(refused(identity.SignUp, body=body), Malformed)


BRACKETS = b'{"a":[' + b"[]," * 100


@pytest.mark.parametrize(
    "body",
    [
        BRACKETS + b'"' + rb"\"" * 100_000,
        BRACKETS + b'"' + rb"\\" * 100_000,
        BRACKETS + b'"' + b"\\",
        BRACKETS + b"[]," * 60_000,
        b"[" * 200_000,
        b"]" * 200_000,
    ],
    ids=["open string", "backslashes", "a last backslash", "brackets", "opening", "closing"],
)
def test_what_never_ends_is_refused_as_fast_as_it_is_read(body):
    """A public operation reads a quarter of a megabyte from anybody: what took a step for each pair of quotes took minutes."""
    assert isinstance(refused(identity.SignIn, body=body), Malformed)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"]":', b"}")])
def test_a_body_is_nested_so_deep_and_no_deeper(opening, closing):
    def nested(levels: int) -> bytes:
        return opening * levels + b'"[[["' + closing * levels

    assert [depth_of(b"[[],[],{}," + nested(levels) + b"]") for levels in (62, 63, 64)] == [63, 64, 65]


def test_another_media_type_is_refused():
    assert refused(identity.SignUp, body=b"a=b", media_type="text/plain") == UnsupportedMedia(
        accepted="application/json"
    )


def test_a_query_parameter_cannot_stand_twice():
    assert isinstance(refused(runtime.WatchRun, path={"run_id": ID}, query=b"after=1&after=2"), Malformed)


@pytest.mark.parametrize(
    ("request_type", "path"), [(identity.SignIn, {}), (runtime.WatchRun, {"run_id": ID})]
)
def test_each_query_parameter_that_means_nothing_is_named(request_type, path):
    problem = refused(request_type, path=path, query=b"draft&a/b=1", body=b"{}")

    assert [fault.pointer for fault in problem.faults] == ["/draft", "/a~1b"]


def post(text: bytes, more: bytes = b"") -> bytes:
    return b'{"conversation_id":"%b","text":%b%b}' % (ID.encode(), text, more)


@pytest.mark.parametrize(
    "body",
    [
        post(b'"hello"', b',"client_id":"1"'),
        post(b'"hello"', b',"attributes":{"a":{"b":[1]}}'),
        post(b'""', b',"parts":[{"kind":"card","content":{"any":"thing"}}]'),
    ],
)
def test_a_body_that_is_all_of_a_request_is_passed_on_as_it_came(body):
    assert whole(operation_of(messaging.PostMessage), body) is body


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (post(b'"hello"', b',"nothing":1'), "/nothing"),
        (post(b'""', b',"parts":[{"kind":"card","content":{},"nothing":1}]'), "/parts/0/nothing"),
        (post(b"7", b',"reply_to":"x"'), "/reply_to"),
        (b'{"text":"hello"}', "/conversation_id"),
        (b"[]", ""),
        (post(b'"hello"', b',"attributes":{"a":%b1%b}' % (b"[" * 70, b"]" * 70)), Malformed),
        (post(b'"\xff"'), Malformed),
        (post(b'"hello"') + b",", Malformed),
        (post(b'"hello"')[:-1], Malformed),
    ],
)
def test_what_is_wrong_with_it_is_told(body, problem):
    with pytest.raises(Refused) as refusal:
        whole(operation_of(messaging.PostMessage), body)

    if isinstance(problem, str):
        assert problem in faults(refusal.value.problem)
    else:
        assert isinstance(refusal.value.problem, problem)


def test_what_must_stand_in_a_body_is_missed_where_it_is_no_flat_field():
    with pytest.raises(Refused) as refusal:
        whole(operation_of(identity.RecordDenials), b"{}")

    assert faults(refusal.value.problem).keys() == {"/denials"}
