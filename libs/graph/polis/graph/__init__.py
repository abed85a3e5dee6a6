"""Checks graphs and components, gives contents their digest, and ships the built-in ones. It runs nothing."""

from polis.graph.bodies import MAX_DEPTH, GraphUse, component_keys, graph_uses, unordered
from polis.graph.check import check, check_component
from polis.graph.compat import obstacles
from polis.graph.configs import config_faults
from polis.graph.content import canonical, digest
from polis.graph.diff import Difference, differences
from polis.graph.execution import signature, unrunnable
from polis.graph.faults import GraphFaults, pointer
from polis.graph.plan import Plan, PlannedNode, Target, Wire
from polis.graph.schema import Schema, compiled, schema_faults
from polis.graph.shape import read_component, read_graph

__all__ = [
    "MAX_DEPTH",
    "Difference",
    "GraphFaults",
    "GraphUse",
    "Plan",
    "PlannedNode",
    "Schema",
    "Target",
    "Wire",
    "canonical",
    "check",
    "check_component",
    "compiled",
    "component_keys",
    "config_faults",
    "differences",
    "digest",
    "graph_uses",
    "obstacles",
    "pointer",
    "read_component",
    "read_graph",
    "schema_faults",
    "signature",
    "unordered",
    "unrunnable",
]
