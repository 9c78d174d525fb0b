"""The ledger's bookkeeping: coalescing, lanes, in-flight keys, checkpoint and frontier."""

from __future__ import annotations

from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.domain.work import Lane
from slipstream.engine.ledger import DirtyLedger

A, B, C = entity_key("a"), entity_key("b"), entity_key("c")


def _live(ledger: DirtyLedger, key: RecordKey, position: int) -> None:
    ledger.mark(key, Lane.LIVE, Position(position))


def test_many_events_of_one_key_are_one_claim() -> None:
    ledger = DirtyLedger()
    for position in range(1, 6):
        _live(ledger, A, position)
    claims = ledger.take(10, now=0.0)
    assert [(claim.key, claim.position) for claim in claims] == [(A, 5)]


def test_a_key_in_flight_is_never_claimed_a_second_time() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 1)
    claims = ledger.take(10, 0.0)
    _live(ledger, A, 2)
    assert ledger.take(10, 0.0) == []
    ledger.settle(claims, Position(1))
    ledger.finish(claims, Position(1))
    assert [claim.position for claim in ledger.take(10, 0.0)] == [2]


def test_an_event_that_the_read_has_seen_already_asks_for_no_second_run() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 1)
    claims = ledger.take(10, 0.0)
    _live(ledger, A, 2)
    assert ledger.settle(claims, Position(2)).clean == [A]
    ledger.finish(claims, Position(2))
    assert len(ledger) == 0


def test_more_urgent_lanes_come_first() -> None:
    ledger = DirtyLedger()
    ledger.mark(A, Lane.BACKFILL)
    ledger.mark(B, Lane.REPAIR)
    _live(ledger, C, 1)
    assert [claim.key for claim in ledger.take(10, 0.0)] == [C, B, A]


def test_a_live_change_lifts_a_backfill_key_into_the_live_lane() -> None:
    ledger = DirtyLedger()
    ledger.mark(A, Lane.BACKFILL)
    ledger.mark(B, Lane.REPAIR)
    _live(ledger, A, 1)
    assert [claim.key for claim in ledger.take(10, 0.0)] == [A, B]


def test_floors_follow_the_oldest_unfinished_key() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 3)
    _live(ledger, B, 7)
    assert ledger.frontier_floor() == ledger.checkpoint_floor() == 3
    claims = ledger.take(1, 0.0)
    ledger.settle(claims, Position(9))
    assert ledger.frontier_floor() == 7
    ledger.finish(claims, Position(9))
    assert ledger.frontier_floor() == 7


def test_restore_takes_a_settled_claim_back() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 3)
    claims = ledger.take(1, 0.0)
    settled = ledger.settle(claims, Position(9))
    assert settled.firsts == {A: 3}
    assert ledger.frontier_floor() is None
    ledger.restore(claims, settled)
    assert ledger.frontier_floor() == 3
    ledger.release(claims)
    assert [claim.key for claim in ledger.take(1, 0.0)] == [A]


def test_a_retrying_key_holds_the_frontier_but_not_the_checkpoint() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 3)
    (claim,) = ledger.take(1, 0.0)
    ledger.defer(claim, attempts=1, due=10.0, kept=Position(3))
    assert ledger.frontier_floor() == 3
    assert ledger.checkpoint_floor() is None
    assert ledger.take(1, 9.9) == []
    (again,) = ledger.take(1, 10.0)
    assert (again.attempts, again.lane, again.durable) == (1, Lane.RETRY, True)


def test_a_new_change_ends_the_wait_of_a_retrying_key() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 3)
    (claim,) = ledger.take(1, 0.0)
    ledger.defer(claim, attempts=4, due=1000.0, kept=Position(3))
    _live(ledger, A, 8)
    (again,) = ledger.take(1, 0.0)
    assert (again.attempts, again.lane) == (0, Lane.LIVE)


def test_a_dirtied_key_that_keeps_its_work_item_is_not_clean() -> None:
    ledger = DirtyLedger()
    ledger.mark(A, Lane.REPAIR, durable=True)
    claims = ledger.take(1, 0.0)
    ledger.mark(A, Lane.REPAIR, durable=True)
    assert ledger.settle(claims, Position(5)).clean == []
    ledger.finish(claims, Position(5))
    assert [claim.durable for claim in ledger.take(1, 0.0)] == [True]


def test_a_dropped_key_that_was_dirtied_meanwhile_stays() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 1)
    (claim,) = ledger.take(1, 0.0)
    _live(ledger, A, 4)
    ledger.drop(claim)
    (again,) = ledger.take(1, 0.0)
    assert (again.key, again.position, again.attempts) == (A, 4, 0)


def test_a_dropped_key_releases_the_frontier() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 1)
    (claim,) = ledger.take(1, 0.0)
    ledger.drop(claim)
    assert ledger.frontier_floor() is None
    assert len(ledger) == 0


def test_a_mark_that_no_commit_asked_for_does_not_cover_a_later_change() -> None:
    ledger = DirtyLedger()
    ledger.mark(A, Lane.REPAIR, durable=True)  # its work item knows of no position
    _live(ledger, A, 8)
    assert ledger.checkpoint_floor() == 8, "after a crash nobody would know that position 8 is not reflected"
    assert ledger.frontier_floor() == 8


def test_a_failed_migration_stays_in_its_lane() -> None:
    ledger = DirtyLedger()
    ledger.mark(A, Lane.MIGRATION)
    (claim,) = ledger.take(1, 0.0)
    ledger.defer(claim, attempts=1, due=10.0, kept=None)
    assert ledger.take(1, 10.0, (Lane.LIVE, Lane.RETRY)) == []
    (again,) = ledger.take(1, 10.0, (Lane.MIGRATION,))
    assert again.lane is Lane.MIGRATION


def test_what_dirties_a_key_while_its_work_item_is_removed_holds_the_checkpoint() -> None:
    ledger = DirtyLedger()
    ledger.mark(A, Lane.RETRY, Position(3), durable=True)
    claims = ledger.take(1, 0.0)
    settled = ledger.settle(claims, Position(5))
    assert settled.durable == [A]
    _live(ledger, A, 8)  # by the reader, while the writer writes
    ledger.finish(claims, Position(5))
    assert ledger.checkpoint_floor() == 8, "the work item is gone: after a crash only the log knows of position 8"
    assert [claim.durable for claim in ledger.take(1, 0.0)] == [False]


def test_a_failed_write_leaves_the_work_item_in_charge() -> None:
    ledger = DirtyLedger()
    ledger.mark(A, Lane.RETRY, Position(3), durable=True)
    claims = ledger.take(1, 0.0)
    settled = ledger.settle(claims, Position(5))
    _live(ledger, A, 8)
    ledger.restore(claims, settled)
    assert (ledger.frontier_floor(), ledger.checkpoint_floor()) == (3, None)


def test_a_work_item_that_outlives_the_write_says_what_is_still_owed() -> None:
    ledger = DirtyLedger()
    ledger.mark(A, Lane.RETRY, Position(3), durable=True, force=True)
    ledger.mark(B, Lane.REPAIR, durable=True)
    claims = ledger.take(2, 0.0)
    _live(ledger, A, 8)
    ledger.mark(B, Lane.REPAIR, durable=True, force=True)
    settled = ledger.settle(claims, Position(5))
    assert [(item.key, item.position, item.force) for item in settled.renewed] == [(A, 6, False), (B, None, True)]
    ledger.finish(claims, Position(5))
    assert (ledger.frontier_floor(), ledger.checkpoint_floor()) == (6, None)


def test_a_key_that_became_a_dead_letter_is_owed_what_came_meanwhile() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 1)
    (claim,) = ledger.take(1, 0.0)
    _live(ledger, A, 4)
    _live(ledger, A, 9)
    ledger.drop(claim)
    floor = ledger.frontier_floor()
    assert floor is not None
    assert floor <= 4


def test_counts_of_what_only_the_log_knows() -> None:
    ledger = DirtyLedger()
    _live(ledger, A, 1)
    ledger.mark(B, Lane.REPAIR, durable=True)
    assert (ledger.counts()[Lane.REPAIR], ledger.counts(volatile_only=True)[Lane.REPAIR]) == (1, 0)
    assert ledger.counts(volatile_only=True)[Lane.LIVE] == 1


def test_a_write_of_an_older_read_does_not_take_the_frontier_back() -> None:
    ledger = DirtyLedger()
    ledger.mark(A, Lane.MIGRATION)
    claims = ledger.take(1, 0.0)  # read at position 5
    _live(ledger, A, 8)
    assert ledger.frontier_floor() == 8
    ledger.settle(claims, Position(5))
    ledger.finish(claims, Position(5))
    assert ledger.frontier_floor() == 8
