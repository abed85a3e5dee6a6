"""Programs are compiled in threads: as many at once as there are runs that a process takes over when it starts."""

from __future__ import annotations

import subprocess
import sys

_AT_ONCE = """
import asyncio
import sys

import msgspec

from polis.graph import builtin
from polis.proto.graph import Graph, GraphInput, GraphOutput, Node
from polis.runtime.shell.programs import Bundle, Programs

CONFIGS = {
    "aggregate": {"measures": {"n": {"op": "count"}}},
    "ask": {"kind": "approval", "title": "?", "to": [{"starter": True}]},
    "http.request": {"url": "https://example.org/"},
    "pick": {"keep": ["a"]},
    "text.regex": {"pattern": "a"},
    "run": {"graph": "other"},
    "service.call": {"operation": "catalog.list_resources"},
}


def content(number):
    nodes = {f"n{n}": Node(key, config=config) for n, (key, config) in enumerate(CONFIGS.items())}
    components = {key: builtin.components()[key] for key in CONFIGS}
    inputs = {f"x{n}": GraphInput(f"n{n}.in") for n in range(len(CONFIGS))}
    graph = Graph(nodes=nodes, inputs=inputs, outputs={f"y{number}": GraphOutput("n0.out")})
    return msgspec.json.encode(Bundle(graph, components, {}))


async def main():
    contents = [content(n) for n in range(8)]
    programs = Programs()
    sys.setswitchinterval(1e-6)
    await asyncio.gather(*(programs.stored(str(n), each) for n, each in enumerate(contents)))


asyncio.run(main())
"""


def test_a_process_that_has_just_started_compiles_many_at_once():
    """Of a type that is half known a process crashes, without a word; these threads take turns all the time."""
    done = subprocess.run([sys.executable, "-c", _AT_ONCE], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
