"""Durability in its long form: what tests/faults/graph does in a minute, at every call."""
