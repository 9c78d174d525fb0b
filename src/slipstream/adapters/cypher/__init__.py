"""Cypher for graphs that do not speak it themselves."""
