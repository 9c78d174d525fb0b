"""The in-memory sync view fulfils the contract."""

from __future__ import annotations

from pathlib import Path

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.suites.sync_view import SyncViewSuite, ViewedGraph


class MemoryViewSuite(SyncViewSuite):
    """The suite over the in-memory graph; its name keeps it from being collected where it is imported."""

    def open_graph(self, directory: Path) -> ViewedGraph:
        return MemoryGraph(ManualClock())


class TestMemorySyncStates(MemoryViewSuite):
    pass
