"""The table `sync_state` of a graph file fulfils the contract, also after reopening."""

from __future__ import annotations

from pathlib import Path

from slipstream.testkit.suites.sync_view import SyncViewSuite, ViewedGraph
from tests.conformance.graph.sqlite_hooks import Handle


class TestSqliteSyncView(SyncViewSuite):
    def open_graph(self, directory: Path) -> ViewedGraph:
        return _Handle(directory)

    def reopened(self, graph: ViewedGraph) -> ViewedGraph:
        assert isinstance(graph, _Handle)
        graph.reopen()
        return graph


class _Handle(Handle):
    """Its view is the one of the graph as it is open now."""
