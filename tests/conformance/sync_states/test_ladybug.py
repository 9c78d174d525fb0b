"""The sync view inside a ladybug file fulfils the contract, also when the file is opened anew behind every write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slipstream.testing.suites.sync_states import SyncStatesSuite, ViewedGraph
from tests.conformance.graph.ladybug_hooks import Handle


class LadybugViewSuite(SyncStatesSuite):
    """The suite over a ladybug file."""

    def open_graph(self, directory: Path) -> ViewedGraph:
        return Handle(directory)

    def reopened(self, graph: ViewedGraph) -> ViewedGraph:
        assert isinstance(graph, Handle)
        graph.reopen()
        return graph


class _ReopeningView:
    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            result = getattr(self._handle.inner.sync_states, name)(*args)
            self._handle.reopen()
            return result

        return call


class _ReopeningHandle(Handle):
    @property
    def sync_states(self) -> Any:
        return _ReopeningView(self)


class TestLadybugSyncStates(LadybugViewSuite):
    pass


class TestReopenedLadybugSyncStates(LadybugViewSuite):
    def open_graph(self, directory: Path) -> ViewedGraph:
        return _ReopeningHandle(directory, after_every_commit=True)
