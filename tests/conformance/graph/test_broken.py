"""Broken graphs fail the suite, each for the reason that it is broken."""

from __future__ import annotations

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.testing.broken.graph import (
    BROKEN_GRAPHS,
    CountsOnFromBefore,
    EchoesEvents,
    ForgetsNeighbourOrder,
    ForgetsTheRescan,
    KeepsFailedBlocks,
    LosesEvents,
    PositionAfterText,
    PositionBeforeText,
    ScanSkipsTheLast,
    ServesTrimmedRanges,
    SilentRelationshipDeletion,
    TakesOneStep,
)
from slipstream.testing.clock import ManualClock
from slipstream.testing.suites.graph import failures_of
from tests.conformance.graph.test_memory import MemorySuite

REASONS = {
    LosesEvents: "test_positions_are_dense_and_in_commit_order",
    PositionBeforeText: "test_a_snapshot_and_its_position_belong_together",
    PositionAfterText: "test_a_snapshot_and_its_position_belong_together",
    SilentRelationshipDeletion: "test_a_deletion_takes_the_relationships_along_with_events",
    ForgetsNeighbourOrder: "test_neighbours_are_ordered_and_then_cut",
    TakesOneStep: "test_hops_of_several_steps_reach_each_entity_once_nearest_first",
    KeepsFailedBlocks: "test_a_failed_block_leaves_no_trace",
    ScanSkipsTheLast: "test_a_scan_is_ordered_and_complete_while_keys_come_and_go",
    EchoesEvents: "test_a_created_entity_is_read_back_and_stored",
    ForgetsTheRescan: "test_advancing_jumps_and_asks_for_a_rescan_of_everything",
    CountsOnFromBefore: "test_advancing_jumps_and_asks_for_a_rescan_of_everything",
    ServesTrimmedRanges: "test_a_trimmed_range_is_lost_and_the_head_is_kept",
}


def test_every_broken_graph_is_tried() -> None:
    assert set(REASONS) == set(BROKEN_GRAPHS)


def test_the_reference_has_no_failures() -> None:
    assert failures_of(MemorySuite(), lambda: MemoryGraph(ManualClock())) == []


@pytest.mark.parametrize("broken", BROKEN_GRAPHS, ids=lambda broken: broken.__name__)
def test_a_broken_graph_fails(broken: type[MemoryGraph]) -> None:
    assert REASONS[broken] in failures_of(MemorySuite(), broken)  # type: ignore[index]
