"""
The conformance suite of `VectorIndex`.

An adapter's test file subclasses `VectorIndexSuite` and gives the `index` fixture, `reopen` where writes are
durable, and two raw hooks that reach the stored data behind the adapter's back, so that it can not vouch for
itself. Spaces used are `SPACE` and `OTHER_SPACE` of `slipstream.testkit.records` (dimension 8) and a few others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import entity_key, relationship_key
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps, SearchFilter, Vector, VectorRecord
from slipstream.ports.index import VectorIndex
from slipstream.testkit.records import OTHER_SPACE, SPACE, make_record, make_stamp, unit_vector
from slipstream.testkit.suites.index_reading import IndexReadingCases
from slipstream.testkit.suites.index_support import (
    ANYTHING,
    ODD_KEYS,
    POSITION_MAX,
    RawRecord,
    Reopen,
    assert_holds,
    held,
)

__all__ = ["RawRecord", "Reopen", "VectorIndexSuite"]


class VectorIndexSuite(IndexReadingCases):
    """What every `VectorIndex` must do. The docstrings of the port are the contract."""

    # ------------------------------------------------------------------ upsert

    def test_upsert_stores_stamp_and_vector(self, index: VectorIndex) -> None:
        record = make_record("ada", 3)
        assert list(index.upsert([record])) == []
        raw = self.read_raw(index, record.stamp.key, SPACE)
        assert raw is not None
        assert (raw.position, raw.fingerprint) == (3, record.stamp.fingerprint)
        np.testing.assert_array_equal(raw.vector, record.vector)
        assert held(index, "ada") == KeyStamps((record.stamp,))
        np.testing.assert_array_equal(index.vectors([record.stamp.key], SPACE)[record.stamp.key], record.vector)

    def test_empty_calls_do_nothing(self, index: VectorIndex) -> None:
        assert list(index.upsert([])) == []
        assert list(index.delete([])) == []
        index.restamp([])
        assert dict(index.stamps([])) == {}
        assert dict(index.vectors([], SPACE)) == {}
        assert list(index.scan(None, 10)) == []

    def test_newer_upsert_replaces_in_place(self, index: VectorIndex) -> None:
        index.upsert([make_record("ada", 3)])
        newer = make_record("ada", 4)
        assert list(index.upsert([newer])) == []
        assert_holds(index, [newer])

    def test_stale_upsert_is_fenced(self, index: VectorIndex) -> None:
        stored, fresh = make_record("ada", 5), make_record("bob", 4)
        index.upsert([stored])
        stale = make_record("ada", 4)
        assert list(index.upsert([stale, fresh])) == [stale.stamp.key]
        assert_holds(index, [stored, fresh])
        raw = self.read_raw(index, stored.stamp.key, SPACE)
        assert raw is not None
        np.testing.assert_array_equal(raw.vector, stored.vector)

    def test_equal_position_overwrites(self, index: VectorIndex) -> None:
        index.upsert([make_record("ada", 5)])
        repaired = make_record("ada", 5, vector=unit_vector("repaired"), fingerprint="repaired")
        assert list(index.upsert([repaired])) == []
        assert_holds(index, [repaired])

    def test_retry_after_lost_acknowledgement_is_harmless(self, index: VectorIndex) -> None:
        batch = [make_record(f"n{i}", 7) for i in range(20)]
        index.upsert(batch)
        assert list(index.upsert(batch)) == []
        assert_holds(index, batch)

    def test_retry_of_half_a_batch_is_harmless(self, index: VectorIndex) -> None:
        batch = [make_record(f"n{i}", 7) for i in range(20)]
        index.upsert(batch[:9])
        assert list(index.upsert(batch)) == []
        assert_holds(index, batch)

    def test_big_batch_is_stored_whole(self, index: VectorIndex) -> None:
        batch = [make_record(f"n{i:05}", 7) for i in range(3000)]
        assert list(index.upsert(batch)) == []
        assert_holds(index, batch)
        stale = [make_record(f"n{i:05}", 6 + i % 2) for i in range(3000)]
        assert set(index.upsert(stale)) == {record.stamp.key for record in stale if record.stamp.position == 6}

    def test_positions_are_compared_exactly(self, index: VectorIndex) -> None:
        index.upsert([make_record("ada", POSITION_MAX)])
        stale = make_record("ada", POSITION_MAX - 1)
        assert list(index.upsert([stale])) == [stale.stamp.key]
        assert list(index.delete([Deletion(stale.stamp.key, Position(POSITION_MAX - 1))])) == [stale.stamp.key]
        assert list(index.upsert([make_record("ada", POSITION_MAX, fingerprint="equal")])) == []
        assert held(index, "ada").records[0].position == POSITION_MAX

    def test_one_key_in_two_spaces(self, index: VectorIndex) -> None:
        first, second = make_record("ada", 5), make_record("ada", 3, OTHER_SPACE)
        assert list(index.upsert([first, second])) == []
        assert_holds(index, [first, second])
        stale = make_record("ada", 4)
        newer = make_record("ada", 4, OTHER_SPACE)
        assert list(index.upsert([stale, newer])) == [stale.stamp.key]
        assert_holds(index, [first, newer])

    @pytest.mark.parametrize(
        "vector",
        [
            np.full(8, np.nan, np.float32),
            np.array([np.inf] + [0] * 7, np.float32),
            np.zeros(8, np.float32),
            np.ones(7, np.float32),
            np.ones((1, 8), np.float32),
        ],
        ids=["nan", "infinite", "zero", "wrong-dimension", "wrong-shape"],
    )
    def test_bad_vector_is_refused_before_any_write(self, index: VectorIndex, vector: Vector) -> None:
        good = make_record("good")
        bad = VectorRecord(make_stamp("bad"), vector)
        with pytest.raises(InvalidInputError) as caught:
            index.upsert([good, bad])
        assert caught.value.field == "embedding"
        assert dict(index.stamps([good.stamp.key, bad.stamp.key])) == {}
        assert self.read_raw(index, good.stamp.key, SPACE) is None

    # ------------------------------------------------------------------ stamps

    def test_every_stamp_field_comes_back_exactly(self, index: VectorIndex) -> None:
        full = make_record(
            relationship_key("KNOWS:a:b"),
            12,
            entity_type="KNOWS / ünïcode",
            schema_version=4,
            schema_hash="abcdef0123456789",
            created_at=datetime(2026, 5, 6, 7, 8, 9, 123457, tzinfo=UTC),
            extraction_template_version="t1",
            extraction_confidence=7 / 30,
            embedded_confidence=11 / 30,
            embedding_quality_score=1.0,
            source_document_id="doc é",
            last_validated=datetime(2031, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            needs_reembedding=True,
            reembedding_reason="schema 4",
            metadata={
                "city": "Zürich",
                "age": 36,
                "score": 0.1,
                "big": 2**40,
                "active": True,
                "gone": False,
                "": "",
                "long": 28 / 30,
                "tiny": 1.7e-300,
            },
        )
        bare = make_record("bare", 0, extraction_template_version="", metadata={})
        index.upsert([full, bare])
        for record in (full, bare):
            stored = index.stamps([record.stamp.key])[record.stamp.key].records
            assert stored == (record.stamp,)
            assert stored[0].created_at.utcoffset() == timedelta(0)
            for name, value in record.stamp.metadata.items():
                assert type(stored[0].metadata[name]) is type(value)

    def test_other_time_zones_come_back_as_the_same_instant_in_utc(self, index: VectorIndex) -> None:
        local = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
        index.upsert([make_record("ada", created_at=local)])
        stored = held(index, "ada").records[0].created_at
        assert stored == local
        assert stored.utcoffset() == timedelta(0)

    def test_stamps_of_unknown_keys_are_absent(self, index: VectorIndex) -> None:
        record = make_record("ada")
        index.upsert([record])
        assert dict(index.stamps([entity_key("nobody"), record.stamp.key, record.stamp.key])) == {
            record.stamp.key: KeyStamps((record.stamp,))
        }

    def test_odd_keys_are_kept_apart(self, index: VectorIndex) -> None:
        batch = [make_record(key, 2) for key in ODD_KEYS]
        assert list(index.upsert(batch)) == []
        assert_holds(index, batch)
        for record in batch:
            assert index.stamps([record.stamp.key])[record.stamp.key].records == (record.stamp,)
        index.delete([Deletion(key, Position(3)) for key in ODD_KEYS[::2]])
        assert_holds(index, batch[1::2])

    # ------------------------------------------------------------------ delete

    def test_delete_leaves_a_tombstone(self, index: VectorIndex) -> None:
        record = make_record("ada", 5)
        index.upsert([record])
        assert list(index.delete([Deletion(record.stamp.key, Position(6))])) == []
        assert held(index, "ada") == KeyStamps((), Position(6))
        assert self.read_raw(index, record.stamp.key, SPACE) is None
        assert dict(index.vectors([record.stamp.key], SPACE)) == {}
        assert list(index.scan(None, 10)) == []
        assert list(index.search(SPACE, record.vector, 5, ANYTHING)) == []

    def test_late_upsert_is_fenced_by_the_tombstone(self, index: VectorIndex) -> None:
        index.upsert([make_record("ada", 5)])
        index.delete([Deletion(entity_key("ada"), Position(7))])
        for space in (SPACE, OTHER_SPACE):
            late = make_record("ada", 6, space)
            assert list(index.upsert([late])) == [late.stamp.key]
        assert held(index, "ada") == KeyStamps((), Position(7))

    def test_delete_of_absent_key_leaves_a_tombstone(self, index: VectorIndex) -> None:
        assert list(index.delete([Deletion(entity_key("ada"), Position(7))])) == []
        assert held(index, "ada") == KeyStamps((), Position(7))
        assert list(index.upsert([make_record("ada", 6)])) == [entity_key("ada")]

    @pytest.mark.parametrize("position", [7, 8], ids=["equal", "newer"])
    def test_upsert_at_or_after_the_tombstone_revives(self, index: VectorIndex, position: int) -> None:
        index.delete([Deletion(entity_key("ada"), Position(7))])
        revived = make_record("ada", position)
        assert list(index.upsert([revived])) == []
        assert held(index, "ada") == KeyStamps((revived.stamp,), None)

    def test_stale_delete_is_fenced(self, index: VectorIndex) -> None:
        record = make_record("ada", 5)
        index.upsert([record])
        assert list(index.delete([Deletion(record.stamp.key, Position(4))])) == [record.stamp.key]
        assert held(index, "ada") == KeyStamps((record.stamp,), None)

    def test_delete_at_the_same_position_removes(self, index: VectorIndex) -> None:
        index.upsert([make_record("ada", 5)])
        assert list(index.delete([Deletion(entity_key("ada"), Position(5))])) == []
        assert held(index, "ada") == KeyStamps((), Position(5))

    def test_repeated_and_older_deletes_keep_the_newest_tombstone(self, index: VectorIndex) -> None:
        for position in (7, 7, 3):
            assert list(index.delete([Deletion(entity_key("ada"), Position(position))])) == []
        assert held(index, "ada") == KeyStamps((), Position(7))

    def test_delete_leaves_every_space(self, index: VectorIndex) -> None:
        index.upsert([make_record("ada", 5), make_record("ada", 6, OTHER_SPACE), make_record("bob", 5)])
        assert list(index.delete([Deletion(entity_key("ada"), Position(6))])) == []
        assert held(index, "ada") == KeyStamps((), Position(6))
        assert [stamp.key.id for stamp in index.scan(None, 10)] == ["bob"]

    def test_delete_spares_a_newer_record_in_another_space(self, index: VectorIndex) -> None:
        newer = make_record("ada", 9, OTHER_SPACE)
        index.upsert([make_record("ada", 5), newer])
        assert list(index.delete([Deletion(entity_key("ada"), Position(6))])) == [entity_key("ada")]
        # As if the deletion had come first: the older record is gone, and the newer one stands without a tombstone.
        assert held(index, "ada") == KeyStamps((newer.stamp,), None)

    def test_delete_in_one_space_leaves_the_other_and_no_tombstone(self, index: VectorIndex) -> None:
        kept = make_record("ada", 5)
        index.upsert([kept, make_record("ada", 5, OTHER_SPACE)])
        assert list(index.delete([Deletion(kept.stamp.key, Position(6), OTHER_SPACE)])) == []
        assert held(index, "ada") == KeyStamps((kept.stamp,), None)
        assert self.read_raw(index, kept.stamp.key, OTHER_SPACE) is None
        assert list(index.delete([Deletion(kept.stamp.key, Position(6), SPACE)])) == []
        assert dict(index.stamps([kept.stamp.key])) == {}

    def test_delete_in_one_space_is_fenced_by_a_newer_record_there(self, index: VectorIndex) -> None:
        records = [make_record("ada", 5), make_record("ada", 8, OTHER_SPACE)]
        index.upsert(records)
        assert list(index.delete([Deletion(entity_key("ada"), Position(6), OTHER_SPACE)])) == [entity_key("ada")]
        assert_holds(index, records)

    def test_delete_in_a_space_without_the_key_is_no_error(self, index: VectorIndex) -> None:
        unknown = Space("never-seen", "0", 8)
        for space in (SPACE, unknown):
            assert list(index.delete([Deletion(entity_key("ada"), Position(6), space)])) == []
        assert dict(index.stamps([entity_key("ada")])) == {}

    def test_create_delete_create_ends_with_the_last(self, index: VectorIndex) -> None:
        index.upsert([make_record("ada", 1)])
        index.delete([Deletion(entity_key("ada"), Position(2))])
        last = make_record("ada", 3)
        index.upsert([last])
        assert list(index.delete([Deletion(entity_key("ada"), Position(2))])) == [entity_key("ada")]
        assert_holds(index, [last])

    # ------------------------------------------------------------------ restamp

    @pytest.mark.parametrize("position", [5, 9], ids=["equal", "newer"])
    def test_restamp_replaces_the_stamp_only(self, index: VectorIndex, position: int) -> None:
        record = make_record("ada", 5)
        index.upsert([record])
        stamp = record.stamp._replace(
            position=Position(position),
            entity_type="Hero",
            schema_version=3,
            metadata={"city": "Bern"},
            source_document_id="doc",
            needs_reembedding=True,
            reembedding_reason="asked",
        )
        index.restamp([stamp])
        assert_holds(index, [VectorRecord(stamp, record.vector)])
        hits = index.search(SPACE, record.vector, 1, SearchFilter(frozenset({"Hero"}), 3, {"city": "Bern"}))
        assert [hit.stamp for hit in hits] == [stamp]

    def test_only_a_new_vector_ends_the_need_of_one(self, index: VectorIndex) -> None:
        record = make_record("ada", 5)
        index.upsert([record])
        flagged = record.stamp._replace(needs_reembedding=True, reembedding_reason="asked")
        index.restamp([flagged])
        index.restamp([record.stamp._replace(schema_version=9)])  # read before the flag
        assert_holds(index, [VectorRecord(flagged._replace(schema_version=9), record.vector)])
        index.restamp([record.stamp._replace(needs_reembedding=True, reembedding_reason="asked again")])
        assert held(index, "ada").records[0].reembedding_reason == "asked again"
        index.upsert([record])
        assert_holds(index, [record])

    def test_restamp_keeps_both_confidences_apart(self, index: VectorIndex) -> None:
        record = make_record("ada", 5, extraction_confidence=0.1, embedded_confidence=0.1)
        index.upsert([record])
        risen = record.stamp._replace(extraction_confidence=0.19)
        index.restamp([risen])
        assert_holds(index, [VectorRecord(risen, record.vector)])
        unknown = risen._replace(extraction_confidence=None, embedded_confidence=None)
        index.restamp([unknown])
        assert_holds(index, [VectorRecord(unknown, record.vector)])

    @pytest.mark.parametrize(
        "fields",
        [{"position": Position(4)}, {"fingerprint": "other"}, {"checksum": "other"}, {"space": OTHER_SPACE}],
        ids=["older", "other-fingerprint", "other-checksum", "other-space"],
    )
    def test_restamp_of_another_record_is_ignored(self, index: VectorIndex, fields: dict[str, object]) -> None:
        record = make_record("ada", 5)
        index.upsert([record])
        index.restamp([record.stamp._replace(schema_version=9, **fields)])  # type: ignore[arg-type]
        assert_holds(index, [record])

    def test_restamp_creates_nothing_and_revives_nothing(self, index: VectorIndex) -> None:
        record = make_record("ada", 5)
        index.restamp([record.stamp])
        assert dict(index.stamps([record.stamp.key])) == {}
        index.upsert([record])
        index.delete([Deletion(record.stamp.key, Position(6))])
        index.restamp([record.stamp._replace(position=Position(8))])
        assert held(index, "ada") == KeyStamps((), Position(6))

    def test_restamp_moves_the_fence(self, index: VectorIndex) -> None:
        record = make_record("ada", 5)
        index.upsert([record])
        index.restamp([record.stamp._replace(position=Position(9))])
        assert list(index.upsert([make_record("ada", 8)])) == [record.stamp.key]
