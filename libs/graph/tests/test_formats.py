"""Texts of a configuration are of the format that the component's schema gives them."""

from __future__ import annotations

import pytest

from polis.graph import GraphFaults, check_component, config_faults
from polis.proto.graph import Component, JavaScript

OWN = Component(
    key="rules",
    title="Rules of an org",
    execution=JavaScript(source="function process() {}"),
    config={
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "cel", "x-variables": ["state"]},
            "any": {"anyOf": [{"type": "string", "format": "re2"}, {"$ref": "#/$defs/zone"}]},
            "all": {"type": "array", "prefixItems": [{"format": "url"}], "items": {"format": "json-path"}},
        },
        "additionalProperties": {"$ref": "#/$defs/zone"},
        "$defs": {"zone": {"type": "string", "format": "time-zone"}},
    },
)


@pytest.mark.parametrize(
    ("config", "pointers"),
    [
        ({"when": "state.done", "any": "UTC", "all": ["https://a.example", "$.x"], "else": "UTC"}, []),
        ({"when": "item.done"}, ["/when"]),
        ({"when": "state + state" + " + state" * 64}, ["/when"]),
        ({"any": "(UTC"}, ["/any", "/any"]),
        ({"all": ["ftp://a.example", "x", "$[", 1]}, ["/all/0", "/all/1", "/all/2"]),
        ({"else": "Mars/Olympus"}, ["/else"]),
    ],
)
def test_a_component_of_an_org_says_what_its_texts_are(config, pointers):
    check_component(OWN)

    assert [fault.pointer for fault in config_faults(OWN, config)] == pointers


def test_variables_of_an_expression_are_names():
    text = {"type": "string", "format": "cel", "x-variables": ["1st"]}
    wrong = Component(
        key="c",
        title="",
        config={"type": "object", "properties": {"a": {"items": text}}},
        execution=OWN.execution,
    )

    with pytest.raises(GraphFaults, match="/config/properties/a/items/x-variables"):
        check_component(wrong)
