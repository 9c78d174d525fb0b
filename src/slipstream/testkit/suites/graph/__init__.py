"""
The contract of a graph and its change log, as one class of tests.

An adapter's test file derives from `GraphSuite` and gives `open_graph` and the raw hooks, which bypass the adapter so
that it can not vouch for itself. Every test takes nothing but the graph, so that `failures_of` can run the suite
over deliberately broken graphs too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from slipstream.testkit.suites.graph.base import LoggedGraph
from slipstream.testkit.suites.graph.committing import CommitTests
from slipstream.testkit.suites.graph.consumers import ConsumerTests
from slipstream.testkit.suites.graph.entities import EntityTests
from slipstream.testkit.suites.graph.feed import FeedTests
from slipstream.testkit.suites.graph.fences import FenceTests
from slipstream.testkit.suites.graph.handles import HandleTests
from slipstream.testkit.suites.graph.paging import PagingTests
from slipstream.testkit.suites.graph.relationships import RelationshipTests
from slipstream.testkit.suites.graph.scanning import ScanTests
from slipstream.testkit.suites.graph.transactions import TransactionTests

__all__ = ["GraphSuite", "LoggedGraph", "failures_of"]


class GraphSuite(
    EntityTests,
    RelationshipTests,
    TransactionTests,
    CommitTests,
    FenceTests,
    FeedTests,
    ConsumerTests,
    ScanTests,
    PagingTests,
    HandleTests,
):
    """The tests of the ports in `ports.graph`, and of the `ports.feed.ChangeFeed` in its `feed`."""


def failures_of(suite: object, make: Callable[[], LoggedGraph], names: Collection[str] | None = None) -> list[str]:
    """Run the tests of a suite (of some names only), each over a graph of its own; return those that fail."""
    every = sorted(member for member in dir(suite) if member.startswith("test_"))
    failed = []
    for name in every if names is None else names:
        graph = make()
        try:
            getattr(suite, name)(graph)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure at all is what is counted here
            failed.append(name)
        finally:
            graph.close()
    return failed
