"""Runs that wait for events of their org: found by type and entity, heard once, also what is told while they begin to wait."""
