"""OpenAPI says of the gateway what the declarations say, and a validator accepts it."""

from __future__ import annotations

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from polis.proto.contract import PUBLIC, operations, success_status
from polis.specs.openapi import openapi
from polis.testing.sweeps import sweep

ROUTED = [o for o in operations() if o.path]
WHOLE = openapi("gateway")


def item(operation):
    return WHOLE["paths"][f"/api/v1{operation.path}"][operation.verb.lower()]


def resolved(schema):
    """With the components at hand, so that jsonschema finds what a `$ref` names."""
    return schema | {"components": WHOLE["components"]}


@pytest.mark.parametrize("shown", ["gateway", "catalog"], ids=["of all", "of one"])
def test_a_document_is_valid_openapi(shown):
    OpenAPIV31SpecValidator(openapi(shown)).validate()


def test_a_service_tells_of_its_own_routes_and_the_gateway_of_all(service):
    told = {
        item["operationId"] for methods in openapi(service)["paths"].values() for item in methods.values()
    }

    assert told == {o.name for o in ROUTED if service in ("gateway", o.service)}


@sweep(ROUTED, lambda o: o.name)
def test_every_operation_has_a_summary_an_answer_and_a_default_for_refusals(operation):
    told = item(operation)

    assert told["summary"]
    assert {str(success_status(operation)), "default"} <= told["responses"].keys()
    assert told["tags"] == [operation.service]


@sweep(ROUTED, lambda o: o.name)
def test_every_declared_problem_is_told_under_its_status(operation):
    for problem in operation.problems:
        told = item(operation)["responses"][str(problem.status)]["content"]["application/problem+json"]
        assert f"#/components/schemas/{problem.__name__}" in str(told)


@sweep([o for o in ROUTED if o.path.startswith("/oauth/")], lambda o: o.name)
def test_clients_of_oauth2_send_forms_and_are_refused_in_plain_json(operation):
    told = item(operation)

    assert "application/x-www-form-urlencoded" in told["requestBody"]["content"]
    refused = [answer for status, answer in told["responses"].items() if not status.startswith("2")]
    assert all("application/json" in answer["content"] for answer in refused)


@sweep(ROUTED, lambda o: o.name)
def test_only_public_operations_need_no_credential_and_changes_by_cookie_need_the_csrf_token(operation):
    security = item(operation)["security"]

    if operation.scope == PUBLIC:
        assert security == []
    else:
        bearer, cookie = security
        assert bearer.keys() == {"bearer"}
        assert cookie.keys() == ({"session", "csrf"} if operation.mutates else {"session"})


@sweep(ROUTED, lambda o: o.name)
def test_every_field_stands_in_one_place(operation):
    told = item(operation)
    named = [p["name"] for p in told.get("parameters", []) if "name" in p]
    content = told.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        named += WHOLE["components"]["schemas"][name]["properties"]
    if "application/octet-stream" in content:
        named.append(operation.raw_body)

    assert sorted(named) == sorted(operation.request.__struct_fields__)


@sweep(ROUTED, lambda o: o.name)
def test_the_idempotency_key_is_offered_exactly_where_it_is_taken(operation):
    parameters = item(operation).get("parameters", [])

    assert ({"$ref": "#/components/parameters/IdempotencyKey"} in parameters) == operation.idempotent


@sweep(ROUTED, lambda o: o.name)
def test_if_match_is_offered_where_a_revision_is_taken_and_a_stale_one_is_a_412(operation):
    told = item(operation)
    offered = {"$ref": "#/components/parameters/IfMatch"} in told.get("parameters", [])

    assert offered == ("412" in told["responses"]) == operation.takes_revision
    if operation.takes_revision:
        assert "PreconditionFailed" in str(told["responses"]["412"])
        assert (
            "revision" not in WHOLE["components"]["schemas"][f"{operation.request.__name__}Body"]["required"]
        )


@sweep(ROUTED, lambda o: o.name)
def test_examples_are_what_their_schemas_say(operation):
    told = item(operation)
    answer = told["responses"][str(success_status(operation))].get("content", {})
    contents = [*told.get("requestBody", {}).get("content", {}).values(), *answer.values()]

    for content in contents:
        if "example" in content:
            jsonschema.Draft202012Validator(resolved(content["schema"])).validate(content["example"])


def test_a_body_takes_no_other_fields_because_the_gateway_refuses_them():
    bodies = {n: s for n, s in WHOLE["components"]["schemas"].items() if n.endswith("Body")}

    assert bodies
    assert all(schema["additionalProperties"] is False for schema in bodies.values())


def test_nothing_is_defined_that_nothing_refers_to():
    text = str(WHOLE["paths"]) + str(WHOLE["components"])
    unused = [name for name in WHOLE["components"]["schemas"] if f"'#/components/schemas/{name}'" not in text]

    assert unused == []
