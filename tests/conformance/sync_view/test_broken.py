"""Broken sync views fail the suite, each for the reason that it is broken."""

from __future__ import annotations

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.testkit.broken.sync_view import (
    BROKEN_SYNC_VIEWS,
    EchoesWrites,
    ForgetsRemovals,
    KeepsHalfABatch,
    PrunesTheLiving,
    ReplacesInPart,
    VerifiesEverything,
)
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.suites.graph import failures_of
from tests.conformance.sync_view.test_memory import MemoryViewSuite

REASONS: dict[type[MemoryGraph], str] = {
    EchoesWrites: "test_no_write_is_a_change_of_the_graph",
    KeepsHalfABatch: "test_many_rows_at_once_and_hostile_ids",
    VerifiesEverything: "test_only_fresh_rows_that_are_not_excepted_are_verified",
    ReplacesInPart: "test_a_row_is_replaced_as_a_whole_and_the_last_one_counts",
    PrunesTheLiving: "test_rows_of_absent_entities_are_pruned",
    ForgetsRemovals: "test_removing_is_idempotent",
}


def test_every_broken_view_is_tried() -> None:
    assert set(REASONS) == set(BROKEN_SYNC_VIEWS)


def test_the_reference_has_no_failures() -> None:
    assert failures_of(MemoryViewSuite(), lambda: MemoryGraph(ManualClock())) == []


@pytest.mark.parametrize("broken", BROKEN_SYNC_VIEWS, ids=lambda broken: broken.__name__)
def test_a_broken_view_fails(broken: type[MemoryGraph]) -> None:
    assert REASONS[broken] in failures_of(MemoryViewSuite(), broken)
