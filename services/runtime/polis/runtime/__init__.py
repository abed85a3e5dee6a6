"""Durable runs of graphs: the engine, its journal, and the components that it has."""
