"""Cases of the index suite about reading: scan, vectors, search, and what survives a close."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from slipstream.domain.digests import damaged_vectors
from slipstream.domain.errors import InvalidInputError, UnavailableError
from slipstream.domain.held import HeldPage, held_page
from slipstream.domain.keys import entity_key
from slipstream.domain.models import Space
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.stamps import Deletion, KeyStamps, SearchFilter, Stamp, Vector, VectorRecord
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import read_contents, scan_index, vectors_of
from slipstream.testkit.records import OTHER_SPACE, SPACE, make_record, unit_vector
from slipstream.testkit.suites.index_support import (
    ANYTHING,
    ODD_KEYS,
    IndexHooks,
    Reopen,
    assert_consistent_read,
    assert_search,
    held,
    searchable_records,
)


class IndexReadingCases(IndexHooks):
    """Every read agrees with every acknowledged write."""

    # ------------------------------------------------------------------ scan, vectors

    @pytest.mark.parametrize("limit", [1, 3, 4, 100])
    def test_scan_pages_through_everything_in_order(self, index: VectorIndex, limit: int) -> None:
        keys = [*ODD_KEYS, *(entity_key(f"n{i}") for i in range(12))]
        spaces = [SPACE, OTHER_SPACE, Space("another-model", "2", 8), Space("suite-model", "1", 8, generation=10)]
        batch = [make_record(key, 1, space) for i, key in enumerate(keys) for space in spaces[: 1 + i % 4]]
        index.upsert(batch[::-1])
        index.delete([Deletion(entity_key("gone"), Position(5))])
        seen: list[Stamp] = []
        while page := index.scan(seen[-1].key if seen else None, limit):
            assert page[0].key not in {stamp.key for stamp in seen}
            seen.extend(page)
        expected = sorted((record.stamp for record in batch), key=lambda stamp: (stamp.key.encode(), stamp.space))
        assert seen == expected

    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_contents_are_those_of_stamps_and_vectors(self, index: VectorIndex, limit: int) -> None:
        """What an audit compares comes from what is stored."""
        filled: dict[str, Any] = {"metadata": {"year": 1.0}, "extraction_confidence": 0.5, "source_document_id": "d"}
        index.upsert([make_record(key, number + 1) for number, key in enumerate(ODD_KEYS)])
        index.upsert([make_record(key, 50, OTHER_SPACE, schema_version=2, **filled) for key in ODD_KEYS[::3]])
        index.upsert([make_record("unfit", 51, needs_reembedding=True)])
        stamps = list(scan_index(index))
        assert len(stamps) == len(ODD_KEYS) + len(ODD_KEYS[::3]) + 1
        found, pages = list[HeldPage](), 0
        while not found or found[-1]:
            found.append(read_contents(index, (found[-1].last or "") if found else "", limit))
            pages += 1
        assert pages > len(stamps) // (limit + 1)
        wanted = held_page(stamps, damaged_vectors(stamps, vectors_of(index, stamps)))
        assert sorted(row for page in found for row in page.rows()) == sorted(wanted.rows())
        assert [content.key for page in found for content in page.contents] == [s.key.encode() for s in stamps]

    def test_scan_survives_deletions_behind_the_cursor(self, index: VectorIndex) -> None:
        batch = [make_record(f"n{i:02}") for i in range(12)]
        index.upsert(batch)
        first = index.scan(None, 4)
        index.delete([Deletion(stamp.key, Position(2)) for stamp in first])
        rest = index.scan(first[-1].key, 100)
        assert [stamp.key for stamp in [*first, *rest]] == [record.stamp.key for record in batch]

    def test_vectors_are_returned_as_stored(self, index: VectorIndex) -> None:
        record, other = make_record("ada", 5), make_record("ada", 5, OTHER_SPACE)
        index.upsert([record, other])
        damaged = np.roll(record.vector, 1)
        self.write_raw(index, record.stamp.key, SPACE, damaged)
        got = index.vectors([record.stamp.key, entity_key("nobody")], SPACE)
        assert list(got) == [record.stamp.key]
        assert got[record.stamp.key].dtype == np.float32
        np.testing.assert_array_equal(got[record.stamp.key], damaged)
        np.testing.assert_array_equal(index.vectors([record.stamp.key], OTHER_SPACE)[record.stamp.key], other.vector)

    # ------------------------------------------------------------------ search

    @pytest.mark.parametrize(
        "where",
        [
            ANYTHING,
            SearchFilter(entity_types=frozenset({"Person"})),
            SearchFilter(entity_types=frozenset({"Person", "Place"})),
            SearchFilter(entity_types=frozenset()),
            SearchFilter(entity_types=frozenset({"Nothing"})),
            SearchFilter(schema_version_min=3),
            SearchFilter(metadata={"city": "Zürich"}),
            SearchFilter(metadata={"age": 3}),
            SearchFilter(metadata={"score": 0.5}),
            SearchFilter(metadata={"active": True}),
            SearchFilter(metadata={"flag": True}),
            SearchFilter(metadata={"city": "Bern", "age": 1}),
            SearchFilter(metadata={"unknown": "x"}),
            SearchFilter(frozenset({"Place"}), 2, {"city": "Zürich", "active": False}),
        ],
        ids=[
            "anything",
            "one-type",
            "two-types",
            "no-type",
            "unknown-type",
            "schema-version",
            "string",
            "integer",
            "float",
            "boolean",
            "boolean-is-no-number",
            "two-values",
            "unknown-name",
            "all-together",
        ],
    )
    def test_search_agrees_with_brute_force(self, index: VectorIndex, where: SearchFilter) -> None:
        batch = searchable_records(150)
        index.upsert(batch)
        index.upsert([make_record(f"n{i:03}", 2, OTHER_SPACE) for i in range(40)])
        for k in (1, 10, 500):
            query = unit_vector(("query", k))
            assert_search(index, query, k, where, batch)

    @pytest.mark.parametrize("number", [7 / 30, 28 / 30, 0.1 + 0.2, 1.7e-300, -2 / 3])
    def test_a_filter_finds_a_number_to_its_last_digit(self, index: VectorIndex, number: float) -> None:
        batch = [make_record(f"n{i}", metadata={"share": number if i else 0.5}) for i in range(3)]
        index.upsert(batch)
        assert_search(index, unit_vector("query"), 10, SearchFilter(metadata={"share": number}), batch)

    def test_search_follows_every_kind_of_write(self, index: VectorIndex) -> None:
        batch = {record.stamp.key: record for record in searchable_records(60)}
        index.upsert(list(batch.values()))
        query = unit_vector("query")
        assert_search(index, query, 10, ANYTHING, list(batch.values()))
        for key in list(batch)[::3]:
            del batch[key]
            index.delete([Deletion(key, Position(5))])
        assert_search(index, query, 10, ANYTHING, list(batch.values()))
        for key in list(batch)[::2]:
            batch[key] = make_record(key, 6, entity_type="Moved")
        index.upsert(list(batch.values()))
        index.upsert([make_record(key, 0) for key in batch])  # stale, fenced: must not be seen
        assert_search(index, query, 10, ANYTHING, list(batch.values()))
        assert_search(index, query, 10, SearchFilter(frozenset({"Moved"})), list(batch.values()))

    def test_search_of_ties_goes_by_key(self, index: VectorIndex) -> None:
        same = unit_vector("same")
        index.upsert([make_record(name, vector=same) for name in ("d", "b", "e", "a", "c")])
        hits = index.search(SPACE, same, 5, ANYTHING)
        assert [hit.stamp.key.id for hit in hits] == ["a", "b", "c", "d", "e"]
        assert all(hit.score == pytest.approx(1.0, abs=1e-5) and hit.score <= 1.0 for hit in hits)
        if index.capabilities.exact:
            assert [hit.stamp.key.id for hit in index.search(SPACE, same, 2, ANYTHING)] == ["a", "b"]

    def test_scores_are_cosines_within_bounds(self, index: VectorIndex) -> None:
        vector = unit_vector("x")
        index.upsert([make_record("same", vector=vector), make_record("opposite", vector=-vector)])
        hits = index.search(SPACE, vector * np.float32(7), 2, ANYTHING)
        assert [hit.stamp.key.id for hit in hits] == ["same", "opposite"]
        assert [hit.score for hit in hits] == pytest.approx([1.0, -1.0], abs=1e-5)
        assert all(-1.0 <= hit.score <= 1.0 for hit in hits)

    def test_search_of_an_unknown_space_finds_nothing(self, index: VectorIndex) -> None:
        index.upsert([make_record("ada")])
        unknown = Space("never-seen", "0", 8)
        assert list(index.search(unknown, unit_vector("q"), 5, ANYTHING)) == []
        assert dict(index.vectors([entity_key("ada")], unknown)) == {}

    @pytest.mark.parametrize("space", [SPACE, Space("never-seen", "0", 8)], ids=["known", "unknown"])
    @pytest.mark.parametrize(
        "vector",
        [np.ones(5, np.float32), np.zeros(8, np.float32), np.full(8, np.nan, np.float32)],
        ids=["wrong-dimension", "zero", "nan"],
    )
    def test_bad_query_vector_is_refused(self, index: VectorIndex, space: Space, vector: Vector) -> None:
        index.upsert([make_record("ada")])
        with pytest.raises(InvalidInputError) as caught:
            index.search(space, vector, 5, ANYTHING)
        assert caught.value.field == "query_vector"

    # ------------------------------------------------------------------ vacuum, close, durability, threads

    def test_vacuum_forgets_tombstones_up_to_the_position_only(self, index: VectorIndex) -> None:
        record = make_record("kept", 1)
        index.upsert([record])
        index.delete([Deletion(entity_key(f"n{i}"), Position(i)) for i in range(1, 7)])
        assert index.vacuum(ORIGIN) == 0
        assert index.vacuum(Position(4)) == 4
        assert index.vacuum(Position(4)) == 0
        left = index.stamps([entity_key(f"n{i}") for i in range(1, 7)])
        assert dict(left) == {
            entity_key("n5"): KeyStamps((), Position(5)),
            entity_key("n6"): KeyStamps((), Position(6)),
        }
        assert list(index.upsert([make_record("n4", 1), make_record("n5", 1)])) == [entity_key("n5")]
        assert held(index, "kept") == KeyStamps((record.stamp,))

    def test_newer_tombstones_are_told_in_pages(self, index: VectorIndex) -> None:
        index.upsert([make_record("kept", 9)])
        index.delete([Deletion(entity_key(f"n{i}"), Position(i)) for i in range(6, 0, -1)])
        assert list(index.buried(Position(3), None, 2)) == [entity_key("n4"), entity_key("n5")]
        assert list(index.buried(Position(3), entity_key("n5"), 2)) == [entity_key("n6")]
        assert list(index.buried(Position(6), None, 2)) == []

    def test_acknowledged_writes_survive_a_reopen(self, index: VectorIndex, reopen: Reopen | None) -> None:
        if not index.capabilities.durable:
            pytest.skip("declares durable=False")
        assert reopen is not None, "a durable index must give the `reopen` fixture"
        batch = searchable_records(30)
        index.upsert([*batch, make_record("n000", 9, OTHER_SPACE), make_record("gone", 9)])
        index.delete([Deletion(entity_key("gone"), Position(10)), Deletion(entity_key("n001"), Position(9), SPACE)])
        index.restamp([batch[2].stamp._replace(schema_version=7)])
        before = list(index.scan(None, 1000))
        again = reopen()
        assert list(again.scan(None, 1000)) == before
        assert held(again, "gone") == KeyStamps((), Position(10))
        assert list(again.upsert([make_record("gone", 9), make_record("n000", 1, OTHER_SPACE)])) == [
            entity_key("gone"),
            entity_key("n000"),
        ]
        stamps = {stamp.key: stamp for stamp in before if stamp.space == SPACE}
        left = [VectorRecord(stamps[r.stamp.key], r.vector) for r in batch if r.stamp.key in stamps]
        assert_search(again, unit_vector("q"), 10, ANYTHING, left)

    def test_closed_index_is_unavailable(self, index: VectorIndex) -> None:
        record = make_record("ada")
        index.upsert([record])
        index.close()
        index.close()
        calls: list[Callable[[], object]] = [
            lambda: index.upsert([record]),
            lambda: index.delete([Deletion(record.stamp.key, Position(2))]),
            lambda: index.restamp([record.stamp]),
            lambda: index.stamps([record.stamp.key]),
            lambda: index.scan(None, 1),
            lambda: index.vectors([record.stamp.key], SPACE),
            lambda: index.search(SPACE, record.vector, 1, ANYTHING),
            lambda: index.vacuum(Position(1)),
        ]
        for call in calls:
            with pytest.raises(UnavailableError):
                call()

    def test_readers_and_writers_side_by_side(self, index: VectorIndex) -> None:
        """Each write round gives all keys one position; a reader must never see a vector of another position."""
        keys = [entity_key(f"n{i}") for i in range(30)]
        rounds = 12
        index.upsert([make_record(key, 1) for key in keys])
        failures: list[BaseException] = []
        done = threading.Event()

        def write() -> None:
            try:
                for position in range(2, rounds + 1):
                    index.upsert([make_record(key, position) for key in keys])
            except BaseException as error:  # noqa: BLE001  (handed to the asserting thread)
                failures.append(error)
            finally:
                done.set()

        def read() -> None:
            try:
                while not done.is_set():
                    assert_consistent_read(index, keys)
            except BaseException as error:  # noqa: BLE001  (handed to the asserting thread)
                failures.append(error)

        threads = [threading.Thread(target=target) for target in (write, read, read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert {stamps.records[0].position for stamps in index.stamps(keys).values()} == {rounds}
        assert_consistent_read(index, keys)
