"""The graph in one SQLite file, shared by any number of processes; `layout` is its public contract."""

from slipstream.adapters.graphs.sqlite.graph import SqliteGraph

__all__ = ["SqliteGraph"]
