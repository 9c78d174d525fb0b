"""The graph file fulfils the contract, also when it is closed and opened again after every commit."""

from __future__ import annotations

from tests.conformance.graph.sqlite_hooks import SqliteSuite


class TestSqliteGraph(SqliteSuite):
    pass


class TestReopenedSqliteGraph(SqliteSuite):
    after_every_commit = True
    concurrent = False  # a graph that is closed behind every commit has no second user
