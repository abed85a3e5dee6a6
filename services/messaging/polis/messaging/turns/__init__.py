"""Turns of agents: which of several answers, and how long they talk with each other."""
