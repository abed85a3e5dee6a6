"""Tools are what an agent may call, described so that a model can."""

from __future__ import annotations

import re

import jsonschema

from polis.proto.contract import SIGNED_IN, operations
from polis.proto.identity import ROLE_SCOPES
from polis.specs.examples import example
from polis.specs.schemas import DIALECT
from polis.specs.tools import fits_an_agent, tools
from polis.testing.sweeps import sweep

TOOLS = tools("gateway")["tools"]
OFFERED = {o.subject: o for o in operations() if fits_an_agent(o)}


def operation(tool):
    return OFFERED[tool["_meta"]["polis/subject"]]


def test_an_agent_is_offered_nothing_that_its_scopes_refuse():
    beyond = [o.name for o in OFFERED.values() if o.scope not in ROLE_SCOPES["agent"] | {SIGNED_IN}]

    assert beyond == []
    assert [o.name for o in OFFERED.values() if o.scope == SIGNED_IN and o.mutates] == []


@sweep(TOOLS, lambda t: t["name"])
def test_a_tool_has_a_name_that_models_take_and_says_what_it_does(tool):
    assert re.fullmatch(r"[a-z_]{1,64}", tool["name"])
    assert tool["description"].endswith(".")
    assert tool["title"]


@sweep(TOOLS, lambda t: t["name"])
def test_input_and_output_are_objects_that_their_schemas_describe(tool):
    for key, kind in (("inputSchema", operation(tool).request), ("outputSchema", operation(tool).answer)):
        if key in tool:
            schema = tool[key] | {"$schema": DIALECT}
            jsonschema.Draft202012Validator.check_schema(schema)
            jsonschema.Draft202012Validator(schema).validate(example(kind))
            assert schema["type"] == "object"


@sweep(TOOLS, lambda t: t["name"])
def test_a_read_is_hinted_as_one_and_a_removal_as_destructive(tool):
    hints = tool["annotations"]

    assert hints["readOnlyHint"] == (operation(tool).verb == "GET")
    assert hints["destructiveHint"] or operation(tool).verb not in ("DELETE", "PUT", "PATCH")
    assert not (hints["readOnlyHint"] and hints["destructiveHint"])


def test_no_pattern_needs_look_ahead_which_models_grammars_lack():
    assert "(?" not in str(TOOLS)


def test_names_are_unique():
    assert len({tool["name"] for tool in TOOLS}) == len(TOOLS)
