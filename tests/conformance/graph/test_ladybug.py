"""The embedded ladybug graph fulfils the contract, also when it is closed and opened again after every commit."""

from __future__ import annotations

from tests.conformance.graph.ladybug_hooks import LadybugSuite


class TestLadybugGraph(LadybugSuite):
    pass


class TestReopenedLadybugGraph(LadybugSuite):
    after_every_commit = True
    concurrent = False  # a graph that is closed behind every commit has no second user
