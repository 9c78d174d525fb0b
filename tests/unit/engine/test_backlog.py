"""Durable work: what fits into memory, what does not, and that both hold the frontier back."""

from __future__ import annotations

from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.work import Lane, WorkItem
from slipstream.engine.backlog import Backlog
from slipstream.engine.ledger import DirtyLedger
from slipstream.testkit.clock import ManualClock

ADA, BOB, CAY = entity_key("ada"), entity_key("bob"), entity_key("cay")


def backlog_of(*items: WorkItem, limit: int = 10) -> tuple[Backlog, DirtyLedger]:
    journal, ledger = MemoryJournal(), DirtyLedger()
    journal.put_work(items)
    return Backlog(journal, ledger, ManualClock(), limit, wait_s_max=30.0), ledger


def test_what_does_not_fit_holds_the_frontier_back_from_the_journal() -> None:
    backlog, ledger = backlog_of(
        WorkItem(ADA, Lane.RETRY, Position(7)), WorkItem(BOB, Lane.BACKFILL, Position(3)), limit=1
    )
    backlog.load()
    assert (ADA in ledger, BOB in ledger, backlog.has_more) == (True, False, True)
    assert (ledger.frontier_floor(), backlog.floor) == (7, 3)


def test_less_urgent_work_is_loaded_past_what_waits_for_a_model_that_is_down() -> None:
    backlog, ledger = backlog_of(
        *(WorkItem(entity_key(f"p{n}"), Lane.MIGRATION) for n in range(5)), WorkItem(ADA, Lane.REPAIR), limit=3
    )
    backlog.load()
    assert (len(ledger), ADA in ledger) == (3, False)
    assert backlog.first(migration=False) == WorkItem(ADA, Lane.REPAIR)
    backlog.load(migration=False)
    assert ADA in ledger
    assert len(ledger) == 4
    assert backlog.has_more


def test_an_item_whose_key_is_dirty_by_a_mark_holds_the_frontier_back_all_the_same() -> None:
    backlog, ledger = backlog_of(
        WorkItem(ADA, Lane.REPAIR), WorkItem(BOB, Lane.BACKFILL, Position(3)), WorkItem(CAY, Lane.BACKFILL), limit=1
    )
    ledger.mark(BOB, Lane.MIGRATION)
    backlog.load(migration=False)
    assert min(floor for floor in (ledger.frontier_floor(), backlog.floor) if floor is not None) == 3
    assert ledger.counts()[Lane.BACKFILL] == 1, "and its live record is dealt with at once"


def test_an_empty_journal_has_nothing_more() -> None:
    backlog, _ = backlog_of()
    assert backlog.has_more
    assert backlog.first() is None
    backlog.load()
    assert not backlog.has_more
