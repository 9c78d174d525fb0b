"""The handler, the queue and the updater: the specification's own tests, and the faults of its sketch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from slipstream.audit.validator import EmbeddingConsistencyValidator
from slipstream.domain.errors import InvalidInputError, PoisonEventError, UnavailableError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import RelationshipRef, entity_key
from slipstream.events.handler import PKGSyncHandler
from slipstream.events.queue import MUTATIONS_TOPIC, RETRIES_TOPIC
from slipstream.events.updater import PENDING_TOPIC, IncrementalEmbeddingUpdater
from slipstream.evolution.store import SchemaVersionedEmbeddingStore
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View
from slipstream.views.viewset import ViewSet
from tests.until import until

START = datetime(2026, 1, 1, tzinfo=UTC)


def _event(serial: int, kind: PKGEventType, entity_id: str = "person_123", **fields: Any) -> PKGEvent:
    defaults: dict[str, Any] = {
        "event_id": f"test_{serial}",
        "event_type": kind,
        "entity_id": entity_id,
        "entity_type": "Person",
        "timestamp": START + timedelta(seconds=serial),
        "schema_version": 1,
    }
    return PKGEvent(**{**defaults, **fields})


def _created(serial: int, entity_id: str = "person_123", **properties: Any) -> PKGEvent:
    return _event(serial, PKGEventType.ENTITY_CREATED, entity_id, new_data=properties)


def _updated(serial: int, entity_id: str = "person_123", **properties: Any) -> PKGEvent:
    return _event(serial, PKGEventType.ENTITY_UPDATED, entity_id, new_data=properties)


def _carried(system: MemorySystem, **options: Any) -> PKGSyncHandler:
    """A handler without a graph, as the specification builds it, over a store that knows no graph either."""
    store = SchemaVersionedEmbeddingStore(system.index, system.registry, system.journal, system.clock)
    return PKGSyncHandler(system.service, store, system.queue, **options)


def _dimension(system: MemorySystem) -> int:
    return system.registry.spec(system.registry.default).dimension


def test_entity_creation_sync_as_the_specification_has_it() -> None:
    system = MemorySystem()
    handler = _carried(system)
    handler.handle_event(
        PKGEvent(
            event_id="test_1",
            event_type=PKGEventType.ENTITY_CREATED,
            entity_id="person_123",
            entity_type="Person",
            timestamp=datetime.now(UTC),
            new_data={"name": "John Doe", "description": "Software Engineer"},
            schema_version=1,
        )
    )
    vector = np.random.default_rng(1).random(_dimension(system))
    results = handler.store.query_embeddings(query_vector=vector, top_k=10)  # type: ignore[attr-defined]
    assert any(result.metadata.entity_id == "person_123" for result in results)


def test_consistency_validation_as_the_specification_has_it() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    result = EmbeddingConsistencyValidator(system.graph, system.store).validate_consistency()
    assert result["missing_embeddings"] == ["ada"]
    assert result["orphaned_embeddings"] == result["outdated_embeddings"] == []
    assert result["total_entities"] == 1
    assert result["total_embeddings"] == 0
    EmbeddingConsistencyValidator(system.graph, system.store).repair_inconsistencies(result)
    system.settle()
    result = EmbeddingConsistencyValidator(system.graph, system.store).validate_consistency()
    assert result["missing_embeddings"] == []
    assert result["consistency"] == 1.0


def test_a_replayed_event_leaves_one_embedding() -> None:
    system = MemorySystem()
    handler = _carried(system)
    for _ in range(3):
        assert handler.handle_event(_created(1, name="Ada"))
    assert len(system.index.scan(None, 10)) == 1
    assert system.service.stats.computed == 1


def test_reordered_events_end_with_the_newest_state() -> None:
    system = MemorySystem()
    handler = _carried(system)
    handler.handle_event(_updated(5, name="newest"))
    newest = system.stamp("person_123")
    handler.handle_event(_created(1, name="oldest"))
    assert system.stamp("person_123") == newest


def test_a_delete_is_final_against_older_events() -> None:
    system = MemorySystem()
    handler = _carried(system)
    handler.handle_event(_created(1, name="Ada"))
    handler.handle_event(_event(3, PKGEventType.ENTITY_DELETED))
    handler.handle_event(_updated(2, name="late"))
    assert system.stamp("person_123") is None


def test_an_update_without_old_data_is_fine() -> None:
    system = MemorySystem()
    assert _carried(system).handle_event(_updated(1, name="Ada"))
    assert system.stamp("person_123") is not None


def test_any_text_change_counts_and_an_unchanged_text_costs_nothing() -> None:
    system = MemorySystem()
    handler = _carried(system)
    handler.handle_event(_created(1, name="Ada", motto="one"))
    handler.handle_event(_updated(2, name="Ada", motto="two"))
    handler.handle_event(_updated(3, name="Ada", motto="two"))
    assert system.service.stats.computed == 2


def test_relationship_events_are_handled_with_and_without_a_graph() -> None:
    ref = RelationshipRef("KNOWS", "a", "b")
    view = View(type="KNOWS", template="{{ source.id }} knows {{ target.id }} {{ how }}", is_relationship=True)
    event = _event(
        1,
        PKGEventType.RELATIONSHIP_CREATED,
        ref.id,
        entity_type="KNOWS",
        source_id="a",
        target_id="b",
        new_data={"how": "well"},
    )
    system = MemorySystem(views=[view])
    assert _carried(system, views=ViewSet([view])).handle_event(event)
    assert [stamp.entity_type for stamp in system.index.scan(None, 10)] == ["KNOWS"]
    with system.graph.transaction() as tx:
        tx.create_entity("Person", "a", {"name": "A"})
        tx.create_entity("Person", "b", {"name": "B"})
        tx.relate("a", "KNOWS", "b", {"how": "well"})
    assert system.handler.handle_event(event)


def test_a_schema_event_moves_the_store_forward_only() -> None:
    system = MemorySystem()
    handler = _carried(system)
    for serial, version in ((1, 3), (2, 2)):
        handler.handle_event(
            _event(serial, PKGEventType.SCHEMA_EVOLVED, "schema", entity_type="Schema", schema_version=version)
        )
    assert handler.store.schema().version == 3


def test_a_failure_is_retried_with_its_true_count_and_then_buried() -> None:
    failures = 99

    def hook(name: str) -> None:
        nonlocal failures
        if name == "embed.before" and failures:
            failures -= 1
            raise UnavailableError("model down")

    system = MemorySystem(hook=hook)
    handler = _carried(system, max_retries=2)
    handler.subscribe_to_pkg_events()
    assert not handler.handle_event(_created(1, name="Ada"))
    counts = []
    while system.queue.depth(RETRIES_TOPIC):
        system.clock.sleep(60)
        ((_, payload),) = system.queue.pending(RETRIES_TOPIC)
        counts.append('"retry_count": 1' in payload or '"retry_count":1' in payload)
        handler.deliver()
    assert counts == [True, False]
    (letter,) = system.journal.letters(None, 10)
    assert (letter.id, letter.attempts) == ("test_1", 3)
    failures = 0
    assert handler.handle_event(PKGEvent.parse(letter.payload))


def test_a_poison_event_is_buried_at_once_and_the_next_one_goes_on() -> None:
    def hook(name: str) -> None:
        if name == "embed.before" and poisoned:
            raise PoisonEventError("never")

    poisoned = True
    system = MemorySystem(hook=hook)
    handler = _carried(system)
    assert not handler.handle_event(_created(1, "bad", name="Bad"))
    poisoned = False
    assert handler.handle_event(_created(2, "good", name="Good"))
    assert [letter.id for letter in system.journal.letters(None, 10)] == ["test_1"]


def test_missing_state_without_a_graph_is_a_dead_letter_that_names_the_field() -> None:
    system = MemorySystem()
    assert not _carried(system).handle_event(_event(1, PKGEventType.ENTITY_CREATED))
    (letter,) = system.journal.letters(None, 10)
    assert "new_data" in letter.error


def test_published_events_survive_a_restart_and_are_delivered_once() -> None:
    system = MemorySystem()
    system.queue.publish(MUTATIONS_TOPIC, _created(1, name="Ada"))
    system.reopen()
    handler = _carried(system)
    handler.subscribe_to_pkg_events()
    assert handler.deliver() == 1
    assert handler.deliver() == 0
    assert system.stamp("person_123") is not None


def test_a_message_written_past_publish_does_not_block_the_topic() -> None:
    system = MemorySystem()
    system.journal.append(MUTATIONS_TOPIC, ["not json"])
    handler = _carried(system)
    handler.subscribe_to_pkg_events()
    system.queue.publish(MUTATIONS_TOPIC, _created(1, name="Ada"))
    handler.deliver()
    assert system.stamp("person_123") is not None
    assert system.journal.letter_count() == 1


def test_create_delete_create_in_one_batch_of_the_updater() -> None:
    system = MemorySystem()
    with IncrementalEmbeddingUpdater(_carried(system), batch_size=50, batch_timeout_seconds=60) as updater:
        updater.add_event(_created(1, name="first"))
        updater.add_event(_event(2, PKGEventType.ENTITY_DELETED))
        updater.add_event(_created(3, name="second"))
        assert updater.flush_batch() == 3
    assert system.service.stats.computed == 1
    assert system.stamp("person_123") is not None


def test_the_updater_flushes_on_size() -> None:
    system = MemorySystem()
    with IncrementalEmbeddingUpdater(_carried(system), batch_size=3, batch_timeout_seconds=60) as updater:
        for number in range(3):
            updater.add_event(_created(number, f"p{number}", name="x"))
        assert updater.pending_count == 0
    assert len(system.index.scan(None, 10)) == 3


def test_the_updater_flushes_by_its_own_timer() -> None:
    system = MemorySystem()
    with IncrementalEmbeddingUpdater(_carried(system), batch_size=50, batch_timeout_seconds=0.05) as updater:
        updater.add_event(_created(1, name="alone"))
        until(lambda: updater.pending_count == 0)
    assert system.stamp("person_123") is not None


def test_pending_events_of_a_crashed_updater_are_found_by_the_next() -> None:
    system = MemorySystem()
    crashed = IncrementalEmbeddingUpdater(_carried(system), batch_size=50, batch_timeout_seconds=3600)
    crashed.add_event(_created(1, name="Ada"))
    # No close: the process is gone. Its thread is a daemon and waits for an hour.
    system.reopen()
    assert system.queue.depth(PENDING_TOPIC) == 1
    with IncrementalEmbeddingUpdater(_carried(system)) as updater:
        assert updater.pending_count == 1
    assert system.stamp("person_123") is not None


@pytest.mark.parametrize("field", ["batch_size", "batch_timeout_seconds"])
def test_impossible_limits_are_refused_by_name(field: str) -> None:
    with pytest.raises(InvalidInputError, match=field):
        IncrementalEmbeddingUpdater(_carried(MemorySystem()), **{field: 0})


def test_with_a_graph_the_present_state_counts_not_what_the_event_says() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.handler.handle_event(_created(1, "ada", name="a lie"))
    system.follow()
    assert system.audit().is_consistent
    system.handler.handle_event(_created(2, "ghost", name="not in the graph"))
    assert system.stamp("ghost") is None


def test_store_embedding_is_idempotent_and_checked() -> None:
    system = MemorySystem()
    store = SchemaVersionedEmbeddingStore(system.index, system.registry, system.journal, system.clock)
    dimension, model = _dimension(system), system.registry.default
    vector = np.eye(dimension)[0]
    first = store.store_embedding("ada", "Person", vector, model, 0.9, "doc")
    assert first == store.store_embedding("ada", "Person", vector, model, 0.9, "doc")
    (match,) = store.query_embeddings(vector, top_k=5, entity_type="Person", min_schema_version=1)
    assert match.metadata.source_document_id == "doc"
    assert match.score == pytest.approx(1.0)
    assert store.query_embeddings(vector, min_schema_version=2) == []
    for bad in (np.zeros(dimension), np.full(dimension, np.nan), np.ones(dimension + 1)):
        with pytest.raises(InvalidInputError, match="embedding"):
            store.store_embedding("bad", "Person", bad, model)
        with pytest.raises(InvalidInputError, match="query_vector"):
            store.query_embeddings(bad)
    with pytest.raises(InvalidInputError, match="top_k"):
        store.query_embeddings(vector, top_k=0)
    store.delete_embedding("ada")
    assert store.get_metadata("ada") == []
    assert entity_key("ada") in system.index.stamps([entity_key("ada")])
