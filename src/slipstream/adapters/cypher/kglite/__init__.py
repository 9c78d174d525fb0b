"""Cypher answered by kglite, over a graph in a SQLite file."""

from slipstream.adapters.cypher.kglite.adapter import KgliteCypher

__all__ = ["KgliteCypher"]
