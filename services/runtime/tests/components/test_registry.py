"""What ships as a descriptor can be run, and the other way round; what it says of itself is so."""

import re
import subprocess
import sys
from ast import literal_eval
from importlib.resources import files

import jsonschema
import pytest

from polis.graph import builtin, check, check_component, config_faults
from polis.runtime.component import implementation, implementations

KEYS = tuple(builtin.components())
README = (files(builtin) / "README.md").read_text().partition("\n## ")[0]


def test_every_descriptor_has_an_implementation_and_every_implementation_a_descriptor():
    assert set(KEYS) == set(implementations())


def test_the_readme_tells_of_every_component_with_its_ports():
    told = {row[0]: row[1:] for row in re.findall(r"^\| `([\w.]+)` \| (.+?) \| (.+?) \| .+ \|$", README, re.MULTILINE)}  # fmt: skip

    assert set(KEYS) == set(told)
    for key, (inputs, outputs) in told.items():
        component = builtin.components()[key]
        named = (re.findall(r"`(\w+)`", inputs), re.findall(r"`(\w+)`", outputs))
        assert named == (list(component.inputs), list(component.outputs)), key


@pytest.mark.parametrize("key", KEYS)
def test_an_implementation_has_one_shape_that_agrees_with_its_descriptor(key):
    found = implementation(key)

    assert found.component.key == key
    shapes = (found.inline, found.task, found.collector, found.waiting, found.driver)
    assert sum(shape is not None for shape in shapes) == 1
    assert (found.driver is not None) == (found.component.body is not None)
    assert (found.collector is not None) == found.component.collects
    assert not (found.waiting is not None and found.component.pure)


@pytest.mark.parametrize("key", KEYS)
def test_a_descriptor_is_a_valid_component_with_valid_schemas(key):
    component = builtin.components()[key]

    check_component(component)
    for port in (*component.inputs.values(), *component.outputs.values()):
        jsonschema.Draft202012Validator.check_schema(port.schema)
    jsonschema.Draft202012Validator.check_schema(component.config)


def test_what_has_an_effect_says_which_and_nothing_else_has_one():
    assert [key for key, found in builtin.components().items() if found.pure == bool(found.effects)] == []


@pytest.mark.parametrize("key", KEYS)
async def test_a_component_has_examples_and_they_are_true(key, run_example):
    assert builtin.components()[key].examples
    for example in builtin.components()[key].examples:
        assert config_faults(builtin.components()[key], example.config) == (), example.title
        if example.output:
            step = await run_example(key, example)
            assert {port: tuple(step.out(port)) for port in example.output} == example.output, example.title
            assert {port for port, _ in step.sent} <= set(example.output), example.title


def test_a_process_that_starts_imports_no_component_and_nothing_that_one_needs():
    """Start time and memory of the mesh do not grow with the library."""
    program = (
        "import sys, polis.runtime.service, polis.runtime.component as c\n"
        "print([m for m in sys.modules if m.startswith('polis.runtime.components.')])\n"
        "c.implementations()\n"
        "heavy = {'aiohttp', 're2', 'nh3', 'pyromark', 'yaml', 'PIL', 'pypdf', 'xlsxwriter', 'python_calamine', 'aiosmtplib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    begun, everything = told.splitlines()
    assert set(literal_eval(begun)) <= {
        "polis.runtime.components.expressions",
        "polis.runtime.components.worker",
    }
    assert literal_eval(everything) == []


def test_an_unknown_component_has_no_implementation():
    assert implementation("nothing.like.it") is None


GRAPHS = {**builtin.graphs(), **{key: each.graph for key, each in builtin.assistants().items()}}


@pytest.mark.parametrize("key", GRAPHS)
def test_a_shipped_graph_is_valid_and_its_expressions_and_templates_compile(key):
    graph = GRAPHS[key]

    check(graph, builtin.components())
    for node in graph.nodes.values():
        assert config_faults(builtin.components()[node.component], node.config) == ()
