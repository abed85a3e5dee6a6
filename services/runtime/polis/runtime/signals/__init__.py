"""Signals to runs and what runs tell of themselves: both are waits, which somebody or nobody has to bring an outcome for."""
