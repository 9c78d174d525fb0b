"""Flags of selected records: who bears one, and who has to be forced instead."""

from __future__ import annotations

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.evolution.selector import ReembeddingSelector, selected_page
from slipstream.testkit.records import make_record


def test_a_record_that_was_written_since_refuses_its_flag_and_is_told_apart() -> None:
    index = MemoryIndex()
    index.upsert([make_record("ada", 5), make_record("bob", 5)])
    page = selected_page(index, ReembeddingSelector(entity_types=("Person",)), None, 10)
    index.upsert([make_record("bob", 7)])
    assert page.flag(index, "asked") == {entity_key("ada")}
    held = index.stamps([entity_key("ada"), entity_key("bob")])
    assert held[entity_key("ada")].records[0].needs_reembedding
    assert not held[entity_key("bob")].records[0].needs_reembedding


def test_a_flag_is_not_undone_by_a_stamp_that_was_read_before_it() -> None:
    index = MemoryIndex()
    record = make_record("ada", 5)
    index.upsert([record])
    page = selected_page(index, ReembeddingSelector(entity_types=("Person",)), None, 10)
    assert page.flag(index, "asked") == {entity_key("ada")}
    index.restamp([record.stamp._replace(position=Position(6), schema_version=4)])
    (stamp,) = index.stamps([entity_key("ada")])[entity_key("ada")].records
    assert (stamp.needs_reembedding, stamp.reembedding_reason, stamp.schema_version) == (True, "asked", 4)


def test_of_ids_without_a_record_none_bears_a_flag() -> None:
    index = MemoryIndex()
    page = selected_page(index, ReembeddingSelector(entity_ids=("ada",)), None, 10)
    assert page.keys == [entity_key("ada")]
    assert page.flag(index, "asked") == frozenset()
