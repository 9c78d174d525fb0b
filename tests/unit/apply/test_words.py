"""The one writer of word rows: compares with the graph as it is now, and writes what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.words_memory import MemoryWords
from slipstream.apply.words import BATCH, WordsWritten, WordWriter
from slipstream.domain.entities import RecordState
from slipstream.domain.errors import InvalidInputError, PoisonEventError, UnavailableError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.words import WordDeletion, WordFields, WordRow
from slipstream.ports.words import WordIndex
from slipstream.views.words import WordViews

ADA, BOB, CAY = entity_key("ada"), entity_key("bob"), entity_key("cay")


class Strict:
    """A word index that refuses rows of some names, as a store does that can not hold them."""

    def __init__(self, inner: WordIndex, names: Sequence[str]) -> None:
        self._inner, self._names = inner, names
        self.calls: list[tuple[int, int]] = []
        self.stamps, self.scan, self.rows, self.count = inner.stamps, inner.scan, inner.rows, inner.count

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        self.calls.append((len(rows), len(deletions)))
        if any(row.name in self._names for row in rows):
            raise InvalidInputError("this store holds no such name", field="name")
        return self._inner.put(rows, deletions)

    def clear(self) -> None:
        self._inner.clear()


class Picky(WordViews):
    """Views that fail for some entities."""

    def fields(self, state: RecordState) -> WordFields | None:
        found = super().fields(state)
        if found is not None and found.name == "poison":
            raise RuntimeError("no fields")
        return found


@pytest.fixture
def graph() -> MemoryGraph:
    return MemoryGraph(SystemClock())


def named(graph: MemoryGraph, **names: str) -> None:
    with graph.transaction() as tx:
        for entity_id, name in names.items():
            tx.upsert_entity("Person", entity_id, {"name": name})


def names_in(words: WordIndex | Strict) -> Mapping[str, str]:
    keys = [stamp.key for stamp in words.scan(None, 10_000)]
    return {key.id: row.name for key, row in words.rows(keys).items()}


def test_what_differs_is_written_and_what_is_gone_removed(graph: MemoryGraph) -> None:
    words = MemoryWords()
    writer = WordWriter(graph, words, MemoryJournal(), WordViews())
    named(graph, ada="Ada", bob="Bob")
    assert writer.reconcile([ADA, BOB, CAY, ADA]) == WordsWritten(written=2, unchanged=1)
    assert writer.reconcile([ADA, BOB]) == WordsWritten(unchanged=2)
    graph.delete_entity("ada")
    named(graph, bob="Robert")
    assert writer.reconcile([BOB, ADA]) == WordsWritten(written=1, deleted=1)
    assert names_in(words) == {"bob": "Robert"}
    (stamp,) = words.scan(None, 10)
    assert stamp.position == graph.feed.head()


def test_many_keys_go_in_bounded_batches_and_settle_goes_with_the_last(graph: MemoryGraph) -> None:
    words, journal = Strict(MemoryWords(), ()), MemoryJournal()
    keys = [entity_key(f"p{number}") for number in range(2 * BATCH + 1)]
    named(graph, **{key.id: f"Name{key.id}" for key in keys})
    seen: list[int] = []

    def settle() -> None:
        seen.append(words.count())
        journal.set("frontier", "7")

    assert WordWriter(graph, words, journal, WordViews()).reconcile(keys, settle).written == len(keys)
    assert words.calls == [(BATCH, 0), (BATCH, 0), (1, 0)]
    assert seen == [len(keys)]
    assert journal.get("frontier") == "7"


def test_rows_and_what_settles_are_one_durable_step(graph: MemoryGraph, tmp_path: Path) -> None:
    named(graph, ada="Ada")
    store = SqliteStore(tmp_path / "index.db")
    writer = WordWriter(graph, store.words, store.journal, WordViews())

    def failing() -> None:
        store.journal.set("frontier", "7")
        raise UnavailableError("the disk is full")

    with pytest.raises(UnavailableError):
        writer.reconcile([ADA], failing)
    assert store.words.count() == 0
    assert store.journal.get("frontier") is None
    assert writer.reconcile([ADA], lambda: store.journal.set("frontier", "7")).written == 1
    assert (store.words.count(), store.journal.get("frontier")) == (1, "7")
    store.close()


def test_rows_of_another_store_are_there_before_the_journal_says_so(graph: MemoryGraph) -> None:
    named(graph, ada="Ada")
    words, journal = MemoryWords(), MemoryJournal()
    writer = WordWriter(graph, words, journal, WordViews(), shares_journal=False)

    def failing() -> None:
        raise UnavailableError("the disk is full")

    with pytest.raises(UnavailableError):
        writer.reconcile([ADA], failing)
    assert words.count() == 1
    assert writer.reconcile([ADA], lambda: journal.set("frontier", "7")) == WordsWritten(unchanged=1)
    assert journal.get("frontier") == "7"


def test_a_record_that_can_not_be_made_a_row_loses_its_old_one_and_stops_no_other(
    graph: MemoryGraph, caplog: pytest.LogCaptureFixture
) -> None:
    words, journal = MemoryWords(), MemoryJournal()
    writer = WordWriter(graph, words, journal, Picky())
    named(graph, ada="Ada", bob="Bob", cay="Cay")
    writer.reconcile([ADA, BOB, CAY])
    named(graph, bob="poison", cay="Kay")
    done = writer.reconcile([ADA, BOB, CAY], lambda: journal.set("frontier", "7"))
    assert done == WordsWritten(written=1, deleted=1, unchanged=1, failed=(BOB,))
    assert names_in(words) == {"ada": "Ada", "cay": "Kay"}
    assert journal.get("frontier") == "7"
    assert "e:bob can not be searched by words" in caplog.text
    state = graph.read([BOB], {}).states[BOB]
    with pytest.raises(PoisonEventError, match="mend its properties"):
        writer.views.row(BOB, state, graph.feed.head())


def test_a_row_that_the_store_does_not_hold_is_found_among_the_others(graph: MemoryGraph) -> None:
    words, journal = Strict(MemoryWords(), ("Bad", "Worse")), MemoryJournal()
    writer = WordWriter(graph, words, journal, WordViews())
    keys = [entity_key(f"p{number}") for number in range(40)]
    named(graph, **{key.id: f"Name{key.id}" for key in keys})
    writer.reconcile(keys)
    named(graph, p3="Bad", p9="Fine", p20="Worse")
    graph.delete_entity("p5")
    done = writer.reconcile(keys, lambda: journal.set("frontier", "7"))
    assert (done.written, done.deleted, done.failed) == (1, 1, (entity_key("p3"), entity_key("p20")))
    assert journal.get("frontier") == "7"
    assert set(names_in(words)) == {key.id for key in keys} - {"p3", "p5", "p20"}


def test_rows_that_are_damaged_beneath_their_digest_are_written_anew(graph: MemoryGraph) -> None:
    words = Strict(MemoryWords(), ())
    writer = WordWriter(graph, words, MemoryJournal(), WordViews())
    named(graph, ada="Ada")
    writer.reconcile([ADA])
    assert writer.reconcile([ADA, BOB], anew=True) == WordsWritten(written=1, unchanged=1)
    assert words.calls == [(1, 0), (0, 1), (1, 0)]
    assert names_in(words) == {"ada": "Ada"}


def test_weighing_writes_nothing(graph: MemoryGraph) -> None:
    words = Strict(MemoryWords(), ())
    writer = WordWriter(graph, words, MemoryJournal(), WordViews())
    named(graph, ada="Ada", bob="Bob")
    found = writer.differences([ADA, BOB, CAY])
    assert (found.count, found.keys, found.unchanged) == (2, [ADA, BOB], 1)
    assert words.calls == []
