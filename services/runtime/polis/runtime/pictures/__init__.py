"""Runs drawn: the graph in layers, each node with the state of its step."""
