"""
The contract of a graph and its change log, as one class of tests.

An adapter's test file derives from `GraphSuite` and gives `open_graph` and the raw hooks, which bypass the adapter so
that it can not vouch for itself. Every test takes nothing but the graph, so that `failures_of` can run the suite
over deliberately broken graphs too.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipstream.testing.suites.graph.base import LoggedGraph
from slipstream.testing.suites.graph.entities import EntityTests
from slipstream.testing.suites.graph.log import LogTests
from slipstream.testing.suites.graph.relationships import RelationshipTests
from slipstream.testing.suites.graph.scanning import ScanTests
from slipstream.testing.suites.graph.transactions import TransactionTests

__all__ = ["GraphSuite", "LoggedGraph", "failures_of"]


class GraphSuite(EntityTests, RelationshipTests, TransactionTests, LogTests, ScanTests):
    """The tests of `ports.graph.WritableGraph` and of the `ports.log.ChangeLog` in its `log`."""


def failures_of(suite: object, make: Callable[[], LoggedGraph]) -> list[str]:
    """Run every test of a suite over a graph of its own, and return the names of those that fail."""
    failed = []
    for name in sorted(member for member in dir(suite) if member.startswith("test_")):
        graph = make()
        try:
            getattr(suite, name)(graph)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure at all is what is counted here
            failed.append(name)
        finally:
            graph.close()
    return failed
