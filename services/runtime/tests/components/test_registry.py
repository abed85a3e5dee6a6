"""What ships as a descriptor can be run, and the other way round."""

import jsonschema
import pytest

from polis.graph import builtin, check, check_component
from polis.runtime.component import implementation, implementations

KEYS = (
    "passthrough", "map", "filter", "split", "merge", "merge.all", "each", "collect", "template", "expression",
    "mail.read_mailbox", "mail.threads", "text.summarize", "log",
)  # fmt: skip


def test_every_descriptor_has_an_implementation_and_every_implementation_a_descriptor():
    assert set(KEYS) == set(builtin.components()) == set(implementations())


@pytest.mark.parametrize("key", KEYS)
def test_an_implementation_has_one_shape_that_agrees_with_its_descriptor(key):
    found = implementation(key)

    assert found.component.key == key
    assert sum(shape is not None for shape in (found.inline, found.task, found.collector)) == 1
    assert (found.collector is not None) == found.component.collects


@pytest.mark.parametrize("key", KEYS)
def test_a_descriptor_is_a_valid_component_with_valid_schemas(key):
    component = builtin.components()[key]

    check_component(component)
    for port in (*component.inputs.values(), *component.outputs.values()):
        jsonschema.Draft202012Validator.check_schema(port.schema)
    jsonschema.Draft202012Validator.check_schema(component.config)


def test_only_log_has_an_effect():
    assert [key for key, component in builtin.components().items() if not component.pure] == ["log"]


def test_an_unknown_component_has_no_implementation():
    assert implementation("nothing.like.it") is None


@pytest.mark.parametrize("key", builtin.graphs())
def test_a_shipped_graph_is_valid_and_its_expressions_and_templates_compile(key):
    graph = builtin.graphs()[key]

    check(graph, builtin.components())
    for node in graph.nodes.values():
        assert implementation(node.component).check(node.config) == ()
