"""
The conformance suite of the journal's three ports: `Journal`, `DeadLetters` and `MessageStore`.

One object implements all three. An adapter's test file gives the `journal` fixture, `reopen` where it is durable,
and `shared_index` where an index on the same store joins the journal's transactions.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import RecordKey, entity_key, relationship_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps
from slipstream.domain.work import DeadLetter, Lane, LetterSize, WorkItem
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DELAY_S_MAX, DeadLetters, Journal, MessageStore
from slipstream.testkit.records import SPACE, make_record, unit_vector
from slipstream.testkit.suites.index_support import ANYTHING, ODD_KEYS, assert_holds

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
ADA, BOB = entity_key("ada"), entity_key("bob")


class FullJournal(Journal, DeadLetters, MessageStore, Protocol):
    """What an adapter's journal is."""


ReopenJournal = Callable[[], FullJournal]


class _Interrupted(BaseException):
    """As abrupt as a `KeyboardInterrupt`: not an `Exception`."""


def letter(identity: str, key: RecordKey | None = ADA, **fields: object) -> DeadLetter:
    """Return a letter."""
    return replace(DeadLetter(identity, key, f"error of {identity}", 3, NOW), **fields)  # type: ignore[arg-type]


def raise_interrupted() -> None:
    """Fail abruptly."""
    raise _Interrupted


class JournalSuite(ABC):
    """What every journal must do. The docstrings of the ports are the contract."""

    @pytest.fixture
    @abstractmethod
    def journal(self) -> FullJournal:
        """Return an empty journal; the fixture closes it."""

    @pytest.fixture
    def reopen(self) -> ReopenJournal | None:
        """Return what closes the journal and opens it anew; None where nothing survives the process."""
        return None

    @pytest.fixture
    def shared_index(self) -> VectorIndex | None:
        """Return the transactional index on the journal's store, None when there is none."""
        return None

    # ------------------------------------------------------------------ values

    def test_values_are_set_replaced_and_removed(self, journal: FullJournal) -> None:
        assert journal.get("checkpoint") is None
        journal.set("checkpoint", "1")
        journal.set("checkpoint", "2")
        journal.set("cursor: ü", "")
        assert (journal.get("checkpoint"), journal.get("cursor: ü")) == ("2", "")
        journal.set("checkpoint", None)
        journal.set("never", None)
        assert (journal.get("checkpoint"), journal.get("cursor: ü")) == (None, "")

    # ------------------------------------------------------------------ work

    def test_work_items_come_back_whole_and_in_order(self, journal: FullJournal) -> None:
        full = WorkItem(ADA, Lane.RETRY, Position(2**62 - 1), 4, NOW, "why ü", "what", force=True)
        bare = WorkItem(relationship_key("KNOWS:a:b"), Lane.BACKFILL)
        journal.put_work([bare, full])
        assert list(journal.work(None, 10)) == [full, bare]
        due = journal.work(None, 10)[0].due_at
        assert due is not None
        assert due.utcoffset() == timedelta(0)

    def test_work_is_paged_by_urgency(self, journal: FullJournal) -> None:
        items = [WorkItem(key, Lane(i % 3), priority=i % 4 / 3) for i, key in enumerate(ODD_KEYS)]
        journal.put_work(items[::-1])
        expected = sorted(items, key=lambda item: (item.lane, -item.priority, item.key.encode()))
        for lane in (None, Lane.LIVE, Lane.MIGRATION, Lane.REPAIR):
            seen: list[WorkItem] = []
            while page := journal.work(seen[-1] if seen else None, 2, lane):
                assert len(page) <= 2
                seen.extend(page)
            wanted = [item for item in expected if lane in (None, item.lane)]
            assert seen == wanted
            assert journal.work_count(lane) == len(wanted)

    @pytest.mark.parametrize(
        ("held", "put", "merged"),
        [
            (
                WorkItem(ADA, Lane.LIVE, Position(5)),
                WorkItem(ADA, Lane.RETRY, Position(9)),
                (Lane.LIVE, 5, False),
            ),
            (
                WorkItem(ADA, Lane.RETRY, Position(9)),
                WorkItem(ADA, Lane.LIVE, Position(5)),
                (Lane.LIVE, 5, False),
            ),
            (
                WorkItem(ADA, Lane.REPAIR),
                WorkItem(ADA, Lane.BACKFILL, Position(5)),
                (Lane.REPAIR, 5, False),
            ),
            (WorkItem(ADA, Lane.REPAIR, Position(5)), WorkItem(ADA, Lane.REPAIR), (Lane.REPAIR, 5, False)),
            (WorkItem(ADA, Lane.REPAIR), WorkItem(ADA, Lane.REPAIR), (Lane.REPAIR, None, False)),
            (WorkItem(ADA, Lane.REPAIR, force=True), WorkItem(ADA, Lane.LIVE), (Lane.LIVE, None, True)),
            (WorkItem(ADA, Lane.LIVE), WorkItem(ADA, Lane.REPAIR, force=True), (Lane.LIVE, None, True)),
            (WorkItem(ADA, Lane.MIGRATION), WorkItem(ADA, Lane.REPAIR), (Lane.REPAIR, None, False)),
            (WorkItem(ADA, Lane.REPAIR), WorkItem(ADA, Lane.MIGRATION), (Lane.REPAIR, None, False)),
            (WorkItem(ADA, Lane.MIGRATION), WorkItem(ADA, Lane.BACKFILL), (Lane.MIGRATION, None, False)),
            (
                WorkItem(ADA, Lane.MIGRATION),
                WorkItem(ADA, Lane.BACKFILL, Position(5)),
                (Lane.BACKFILL, 5, False),
            ),
            (
                WorkItem(ADA, Lane.BACKFILL, Position(5)),
                WorkItem(ADA, Lane.MIGRATION),
                (Lane.BACKFILL, 5, False),
            ),
            (WorkItem(ADA, Lane.MIGRATION, Position(5)), WorkItem(ADA, Lane.LIVE), (Lane.LIVE, 5, False)),
        ],
        ids=[
            "older-kept",
            "older-comes",
            "first-known",
            "stays-known",
            "unknown",
            "force-kept",
            "force-comes",
            "repair-comes",
            "repair-kept",
            "selected",
            "behind-comes",
            "behind-kept",
            "live",
        ],
    )
    def test_put_work_merges(
        self, journal: FullJournal, held: WorkItem, put: WorkItem, merged: tuple[Lane, int | None, bool]
    ) -> None:
        put = replace(put, attempts=1, reason="newest", error="newest", due_at=NOW)
        lane, number, force = merged
        position = None if number is None else Position(number)
        expected = replace(put, lane=lane, position=position, force=force)
        journal.put_work([replace(held, attempts=7, reason="old", error="old", due_at=NOW + timedelta(1))])
        journal.put_work([put])
        assert list(journal.work(None, 10)) == [expected]
        journal.remove_work([ADA])
        journal.put_work([held, put])  # within one call too
        assert list(journal.work(None, 10)) == [expected]

    def test_the_higher_priority_stays(self, journal: FullJournal) -> None:
        journal.put_work([WorkItem(ADA, Lane.MIGRATION, priority=0.5), WorkItem(BOB, Lane.MIGRATION, priority=0.5)])
        journal.put_work([WorkItem(ADA, Lane.RETRY, attempts=1), WorkItem(BOB, Lane.MIGRATION, priority=0.75)])
        found = {item.key: item.priority for item in journal.work(None, 10)}
        assert found == {ADA: 0.5, BOB: 0.75}

    def test_put_work_replaces_what_is_not_merged_by_nothing_too(self, journal: FullJournal) -> None:
        journal.put_work([WorkItem(ADA, Lane.RETRY, attempts=3, due_at=NOW, reason="old", error="old")])
        fresh = WorkItem(ADA, Lane.RETRY)
        journal.put_work([fresh])
        assert list(journal.work(None, 10)) == [fresh]

    def test_remove_work(self, journal: FullJournal) -> None:
        journal.put_work([WorkItem(ADA, Lane.LIVE), WorkItem(BOB, Lane.LIVE)])
        journal.remove_work([ADA, entity_key("nobody")])
        journal.remove_work([])
        journal.put_work([])
        assert [item.key for item in journal.work(None, 10)] == [BOB]
        assert journal.work_count() == 1

    # ------------------------------------------------------------------ dead letters

    def test_the_bytes_of_a_topic_are_added_up(self, journal: FullJournal) -> None:
        assert journal.size_bytes("t") == 0
        first, _ = journal.append("t", ['"ü"', '"abc"'])
        journal.append("other", ["1" * 50])
        assert journal.size_bytes("t") == 4 + 5
        journal.acknowledge("t", [first])
        assert journal.size_bytes("t") == 5

    def test_the_letters_of_refused_lines_are_added_up(self, journal: FullJournal) -> None:
        assert journal.refused_size() == LetterSize(0, 0)
        journal.bury([letter("a"), letter("b", None, error="é", payload="ü" * 10), letter("c", None, error="x")])
        assert journal.refused_size() == LetterSize(2, 2 + 20 + 1)
        journal.remove(["b"])
        assert journal.refused_size() == LetterSize(1, 1)

    def test_letters_come_back_whole_and_in_order(self, journal: FullJournal) -> None:
        letters = [
            letter("c", None, payload='{"é": 1}', position=Position(2**62 - 1)),
            letter("a", failed_at=NOW + timedelta(1)),
            letter("b ü", relationship_key("KNOWS:a:b"), attempts=0),
        ]
        journal.bury(letters)
        ordered = sorted(letters, key=lambda item: item.id)
        assert list(journal.letters(None, 10)) == ordered
        assert list(journal.letters(None, 2)) == ordered[:2]
        assert list(journal.letters("a", 10)) == ordered[1:]
        assert list(journal.letters("c", 10)) == []
        assert journal.letter_count() == 3

    def test_burying_again_replaces(self, journal: FullJournal) -> None:
        journal.bury([letter("a"), letter("b")])
        again = letter("a", BOB, error="newer", attempts=9)
        journal.bury([again])
        assert list(journal.find(["a"])) == [again]
        assert journal.letter_count() == 2

    def test_find_and_remove_by_id(self, journal: FullJournal) -> None:
        letters = [letter(identity) for identity in "abcd"]
        journal.bury(letters)
        assert list(journal.find(["d", "nothing", "b", "b"])) == [letters[1], letters[3]]
        assert list(journal.find([])) == []
        assert journal.remove(["a", "nothing", "d", "a"]) == 2
        assert journal.remove([]) == 0
        assert [item.id for item in journal.letters(None, 10)] == ["b", "c"]

    def test_remove_by_key(self, journal: FullJournal) -> None:
        journal.bury([letter("a", ADA), letter("b", BOB), letter("c", ADA), letter("d", None)])
        assert journal.remove_keys([ADA, entity_key("nobody")]) == 2
        assert journal.remove_keys([]) == 0
        assert [item.id for item in journal.letters(None, 10)] == ["b", "d"]

    # ------------------------------------------------------------------ messages

    def test_messages_wait_in_order_until_acknowledged(self, journal: FullJournal) -> None:
        first = list(journal.append("a", ["1", "2"]))
        other = list(journal.append("b", ['{"ü": "other"}']))
        second = list(journal.append("a", ["3"]))
        ids = [*first, *second]
        assert ids == sorted(set(ids))
        assert list(journal.append("a", [])) == []
        assert list(journal.pending("a", 0, 10, NOW)) == list(zip(ids, ["1", "2", "3"], strict=True))
        assert list(journal.pending("a", 0, 2, NOW)) == [(ids[0], "1"), (ids[1], "2")]
        assert list(journal.pending("a", ids[1], 10, NOW)) == [(ids[2], "3")]
        assert list(journal.pending("b", 0, 10, NOW)) == [(other[0], '{"ü": "other"}')]
        journal.acknowledge("a", [ids[0], 10**9])
        journal.acknowledge("b", [ids[1]])  # of another topic: unknown here
        assert [i for i, _ in journal.pending("a", 0, 10, NOW)] == ids[1:]
        assert (journal.depth("a"), journal.depth("b"), journal.depth("c")) == (2, 1, 0)

    def test_messages_are_not_delivered_before_they_are_due(self, journal: FullJournal) -> None:
        late = list(journal.append("a", ["late"], NOW + timedelta(microseconds=1)))
        soon = list(journal.append("a", ["soon"], NOW))
        assert [i for i, _ in journal.pending("a", 0, 10, NOW)] == soon
        assert [i for i, _ in journal.pending("a", 0, 10, NOW + timedelta(seconds=1))] == [*late, *soon]
        assert journal.depth("a") == 2

    def test_a_message_that_is_due_later_than_any_may_be_is_due(self, journal: FullJournal) -> None:
        longest = timedelta(seconds=DELAY_S_MAX)
        late = list(journal.append("a", ["late"], NOW + longest))
        never = list(journal.append("a", ["written while the clock was ahead"], NOW + timedelta(days=400)))
        assert [i for i, _ in journal.pending("a", 0, 10, NOW)] == never
        assert [i for i, _ in journal.pending("a", 0, 10, NOW + longest)] == [*late, *never]

    def test_ids_of_messages_are_never_given_out_again(self, journal: FullJournal) -> None:
        ids = list(journal.append("a", ["1", "2"]))
        journal.acknowledge("a", ids)
        assert min(journal.append("a", ["3"])) > max(ids)

    # ------------------------------------------------------------------ transactions

    def test_a_transaction_commits_everything(self, journal: FullJournal) -> None:
        with journal.transaction():
            fill(journal)
            assert_filled(journal)  # one's own writes are seen inside
        assert_filled(journal)

    @pytest.mark.parametrize("error", [ValueError("x"), _Interrupted()], ids=["exception", "interrupt"])
    def test_an_exception_takes_everything_back(self, journal: FullJournal, error: BaseException) -> None:
        journal.set("checkpoint", "before")
        journal.put_work([WorkItem(BOB, Lane.LIVE)])
        with pytest.raises(type(error)), journal.transaction():
            fill(journal)
            journal.remove_work([BOB])
            raise error
        assert journal.get("checkpoint") == "before"
        assert [item.key for item in journal.work(None, 10)] == [BOB]
        assert (journal.letter_count(), journal.depth("t")) == (0, 0)
        fill(journal)  # and it goes on working
        assert_filled(journal, work=2)

    def test_an_inner_transaction_commits_with_the_outer_one(self, journal: FullJournal) -> None:
        with pytest.raises(ValueError, match="outer"), journal.transaction():
            with journal.transaction():
                fill(journal)
            raise ValueError("outer")
        assert (journal.get("checkpoint"), journal.work_count(), journal.depth("t")) == (None, 0, 0)
        with journal.transaction():
            with journal.transaction():
                journal.set("inner", "1")
            fill(journal)
        assert journal.get("inner") == "1"
        assert_filled(journal)

    def test_a_failed_inner_transaction_takes_back_its_own_part(self, journal: FullJournal) -> None:
        with journal.transaction():
            journal.set("outer", "1")
            with pytest.raises(ValueError, match="inner"), journal.transaction():
                fill(journal)
                raise ValueError("inner")
            journal.set("after", "1")
        assert (journal.get("outer"), journal.get("after"), journal.get("checkpoint")) == ("1", "1", None)
        assert (journal.work_count(), journal.letter_count()) == (0, 0)

    def test_transactions_of_threads_do_not_mix(self, journal: FullJournal) -> None:
        """Each of many read-modify-write steps must count; and what fails leaves no trace."""
        journal.set("count", "0")
        failures: list[BaseException] = []

        def count_up(fails: bool) -> None:
            try:
                for _ in range(25):
                    with journal.transaction():
                        journal.set("count", str(int(journal.get("count") or 0) + 1))
                        if fails:
                            raise_interrupted()
            except _Interrupted:
                pass
            except BaseException as error:  # noqa: BLE001  (handed to the asserting thread)
                failures.append(error)

        threads = [threading.Thread(target=count_up, args=(i == 3,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert journal.get("count") == "75"

    def test_index_writes_join_the_transaction(self, journal: FullJournal, shared_index: VectorIndex | None) -> None:
        if shared_index is None:
            pytest.skip("no index shares this journal's store")
        assert shared_index.capabilities.transactional
        kept, query = make_record("kept"), unit_vector("query")
        shared_index.upsert([kept])
        shared_index.search(SPACE, query, 5, ANYTHING)
        with pytest.raises(ValueError, match="fails"), journal.transaction():
            shared_index.upsert([make_record("kept", 7), make_record("new", 7)])
            shared_index.delete([Deletion(ADA, Position(9))])
            journal.set("checkpoint", "7")
            found = shared_index.search(SPACE, query, 5, ANYTHING)  # one's own writes are seen inside
            assert {hit.stamp.key.id: hit.stamp.position for hit in found} == {"kept": 7, "new": 7}
            raise ValueError("fails")
        assert journal.get("checkpoint") is None
        assert_holds(shared_index, [kept])
        assert [hit.stamp for hit in shared_index.search(SPACE, query, 5, ANYTHING)] == [kept.stamp]
        with journal.transaction():
            shared_index.upsert([make_record("new", 7)])
            shared_index.delete([Deletion(kept.stamp.key, Position(7))])
            journal.set("checkpoint", "7")
        assert journal.get("checkpoint") == "7"
        assert shared_index.stamps([kept.stamp.key]) == {kept.stamp.key: KeyStamps((), Position(7))}
        assert [hit.stamp.key.id for hit in shared_index.search(SPACE, query, 5, ANYTHING)] == ["new"]

    # ------------------------------------------------------------------ close

    def test_everything_survives_a_reopen(self, journal: FullJournal, reopen: ReopenJournal | None) -> None:
        if reopen is None:
            pytest.skip("nothing survives the process")
        fill(journal)
        last = max(i for i, _ in journal.pending("t", 0, 10, NOW))
        journal.acknowledge("t", [last])
        again = reopen()
        assert min(again.append("t", ["x"])) > last
        assert_filled(again)

    def test_a_closed_journal_is_unavailable(self, journal: FullJournal) -> None:
        journal.close()
        journal.close()
        calls: list[Callable[[], object]] = [
            lambda: journal.get("checkpoint"),
            lambda: fill(journal),
            lambda: journal.work(None, 1),
            lambda: journal.letters(None, 1),
            lambda: journal.depth("t"),
            lambda: journal.transaction().__enter__(),
        ]
        for call in calls:
            with pytest.raises(UnavailableError):
                call()


def fill(journal: FullJournal) -> None:
    """Write something of each kind."""
    journal.set("checkpoint", "5")
    journal.put_work([WorkItem(ADA, Lane.RETRY, Position(3), 1, NOW, "r", "e")])
    journal.bury([letter("a")])
    journal.append("t", ["1", "2"])


def assert_filled(journal: FullJournal, work: int = 1) -> None:
    """Check that what `fill` wrote is there, once."""
    assert journal.get("checkpoint") == "5"
    assert WorkItem(ADA, Lane.RETRY, Position(3), 1, NOW, "r", "e") in journal.work(None, 10)
    assert journal.work_count() == work
    assert list(journal.letters(None, 10)) == [letter("a")]
    assert journal.depth("t") == 2
