"""Selecting records and embedding them anew: what is selected, in which order, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipstream.domain.errors import (
    ConfigError,
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    PoisonEventError,
    UnavailableError,
)
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.journal_names import SELECTIONS
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.requests import EmbeddingRequest, EmbeddingResult
from slipstream.domain.schema import GraphSchema
from slipstream.domain.work import Lane
from slipstream.engine.settings import SyncSettings
from slipstream.events.handler import PKGSyncHandler
from slipstream.evolution.changes import data_of
from slipstream.evolution.reembedding import ReembeddingProgress, ReembeddingService
from slipstream.evolution.selector import MARKING, ReembeddingSelector
from slipstream.evolution.store import SchemaVersionedEmbeddingStore
from slipstream.testkit.embedders import NotingEmbedder
from slipstream.testkit.records import make_record
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View
from slipstream.views.viewset import ViewSet

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def _filled(count: int = 6, **settings: Any) -> tuple[MemorySystem, NotingEmbedder]:
    embedder = NotingEmbedder()
    system = MemorySystem(embedder=embedder, settings=SyncSettings(**settings))
    for number in range(count):
        confidence = (number * 7 % 10) / 10
        system.graph.create_entity(
            "Person" if number % 2 else "Company",
            f"n{number}",
            {"name": f"n{number}", "extraction_confidence": confidence},
        )
    system.settle()
    embedder.seen.clear()
    return system, embedder


# ---------------------------------------------------------------------- selectors


@pytest.mark.parametrize(
    ("options", "matches"),
    [
        ({"schema_version": 3}, True),
        ({"schema_version": 2}, False),
        ({"model_id": "test-model"}, None),
        ({"entity_types": ("Person", "X")}, True),
        ({"entity_types": ("X",)}, False),
        ({"confidence_below": 0.6}, True),
        ({"confidence_below": 0.5}, False),
        ({"older_than_s": 3600.0}, True),
        ({"older_than_s": 7200.0}, False),
        ({"created_before": NOW}, True),
        ({"needs_reembedding": True}, False),
        ({"needs_reembedding": False}, True),
        ({"schema_version": 3, "confidence_below": 0.5}, False),
    ],
)
def test_what_is_given_must_all_hold(options: dict[str, Any], matches: bool | None) -> None:
    stamp = make_record(
        "a",
        1,
        schema_version=3,
        entity_type="Person",
        extraction_confidence=0.5,
        created_at=NOW - timedelta(hours=1, seconds=1),
    ).stamp
    if matches is None:
        options, matches = {"model_id": stamp.space.model_id}, True
    selector = ReembeddingSelector(**options)
    assert selector.at(NOW).matches(stamp) is matches
    assert ReembeddingSelector.from_dict(selector.as_dict()) == selector


def test_an_unknown_confidence_is_not_a_low_one() -> None:
    stamp = make_record("a", 1, extraction_confidence=None).stamp
    assert not ReembeddingSelector(confidence_below=1.0).matches(stamp)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "selector"),
        ({"entity_ids": "ada"}, "entity_ids"),
        ({"entity_types": "Person"}, "entity_types"),
        ({"schema_version": 0}, "schema_version"),
        ({"confidence_below": 1.5}, "confidence_below"),
        ({"confidence_below": float("nan")}, "confidence_below"),
        ({"older_than_s": -1.0}, "older_than_s"),
        ({"older_than_s": float("inf")}, "older_than_s"),
        ({"created_before": datetime(2026, 1, 1)}, "created_before"),  # noqa: DTZ001  (the point of it)
    ],
)
def test_a_selector_that_says_nothing_or_nonsense_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        ReembeddingSelector(**options)
    assert refused.value.field == field


def test_a_kept_selector_that_can_not_be_read_is_corruption() -> None:
    with pytest.raises(CorruptionError, match="selects no records"):
        ReembeddingSelector.from_dict({"shoe_size": 4})


# ---------------------------------------------------------------------- marking


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"entity_ids": ["n1", "n4", "n1"]}, {"n1", "n4"}),
        ({"entity_type": "Person"}, {"n1", "n3", "n5"}),
        ({"confidence_below": 0.3}, {"n0", "n3"}),
        ({"entity_type": "Person", "confidence_below": 0.3}, {"n3"}),
        ({"entity_ids": ["n0", "n1"], "entity_type": "Person"}, {"n1"}),
        ({"model_id": "nobody's"}, set()),
        ({"older_than_s": 0.0}, {f"n{number}" for number in range(6)}),
        ({"schema_version": 1_000}, {f"n{number}" for number in range(6)}),
    ],
)
def test_marking_embeds_exactly_what_is_selected_past_the_cache(options: dict[str, Any], expected: set[str]) -> None:
    system, embedder = _filled()
    system.clock.sleep(1)
    assert system.store.mark_for_reembedding(**options, reason="asked") == len(expected)
    for entity_id in expected:
        (found,) = system.store.get_metadata(entity_id)
        assert (found.needs_reembedding, found.reembedding_reason) == (True, "asked")
    system.settle()
    assert {text.split()[0] for text in embedder.seen} == expected
    assert len(embedder.seen) == len(expected)
    for entity_id in expected:
        (found,) = system.store.get_metadata(entity_id)
        assert (found.needs_reembedding, found.reembedding_reason) == (False, "asked")
    assert system.audit().is_consistent


def test_an_entity_without_a_record_is_marked_by_its_id_alone() -> None:
    system, embedder = _filled()
    system.graph.create_entity("Person", "late", {"name": "late"})
    assert system.store.mark_for_reembedding(["late"]) == 1
    assert system.store.mark_for_reembedding(["late"], entity_type="Person") == 0
    system.settle()
    assert embedder.seen == ["late"]


def test_a_selector_or_keywords_not_both() -> None:
    system, _ = _filled(1)
    with pytest.raises(InvalidInputError, match="not both"):
        system.store.mark_for_reembedding(["n0"], selector=ReembeddingSelector(schema_version=1))
    with pytest.raises(InvalidInputError, match="say which records"):
        system.store.mark_for_reembedding()


# ---------------------------------------------------------------------- triggering


def test_the_highest_extraction_confidence_goes_first_and_all_are_done() -> None:
    system, embedder = _filled(25, batch_min=1, batch_max=1, pending_max=7)
    told: list[ReembeddingProgress] = []
    result = system.reembedding.trigger_reembedding(
        schema_version=system.graph.schema().version, batch_size=4, on_progress=told.append
    )
    assert result.selected == 25
    confidences = [system.stamp(text).extraction_confidence for text in embedder.seen]  # type: ignore[union-attr]
    assert len(confidences) == 25
    assert confidences == sorted(confidences, key=lambda known: -(known or 0.0))
    assert told[-1].done == told[-1].total == 25
    assert [p.done for p in told if p.total] == sorted(p.done for p in told if p.total)
    assert system.audit().is_consistent
    assert system.journal.get(SELECTIONS) is None


def test_live_changes_go_first() -> None:
    system, embedder = _filled(20, batch_min=1, batch_max=1)
    selector = ReembeddingSelector(schema_version=1_000)
    system.engine.intake_stage.selections.add(selector, "asked", force=True)
    while system.engine.intake_stage.selections.due:
        system.engine.step()
    system.engine.step()
    embedder.seen.clear()
    position = system.graph.create_entity("Person", "live", {"name": "live"})
    while system.engine.frontier < position:
        system.engine.step()
    assert embedder.seen == ["live"]
    system.settle()
    assert len(embedder.seen) >= 20 - 2


def test_a_new_process_goes_on_where_the_last_one_was() -> None:
    system, embedder = _filled(20, batch_min=1, batch_max=1)
    selections = system.engine.intake_stage.selections
    selections.add(ReembeddingSelector(schema_version=1_000), "asked", force=True, page_size=5)
    selections.step()
    selections.step()
    system.reopen()
    (left,) = system.engine.intake_stage.selections.due
    assert (left.marked, left.after) == (10, "e:n17")
    assert embedder.seen == []
    assert system.reembedding.resume().selected == 20
    assert sorted(embedder.seen) == sorted(f"n{number}" for number in range(20))
    assert system.reembedding.resume().selected == 0


def test_a_page_that_could_not_be_kept_is_looked_at_again() -> None:
    system, embedder = _filled(6)
    selections = system.engine.intake_stage.selections
    selections.add(ReembeddingSelector(schema_version=1_000), "asked", force=True, page_size=3)
    failing = ["selections.before"]

    def hook(name: str) -> None:
        if name in failing:
            failing.clear()
            raise UnavailableError("the journal is away")

    system.hook = hook
    with pytest.raises(UnavailableError):
        selections.step()
    assert system.journal.work_count() == 0
    system.settle()
    assert sorted(embedder.seen) == [f"n{number}" for number in range(6)]


def test_what_was_flagged_and_never_marked_is_found_without_a_selector() -> None:
    system, embedder = _filled()
    stamp = system.stamp("n2")
    assert stamp is not None
    system.index.restamp([stamp._replace(needs_reembedding=True, reembedding_reason="cut short")])
    assert system.reembedding.trigger_reembedding().selected == 1
    assert embedder.seen == ["n2"]


def test_a_plan_counts_and_changes_nothing() -> None:
    system, embedder = _filled()
    plan = system.reembedding.plan(ReembeddingSelector(schema_version=1_000))
    assert plan.records == {"Company": 3, "Person": 3}
    assert (plan.texts, plan.sampled) == (6, 6)
    assert plan.tokens > 0
    assert system.journal.work_count() == 0
    assert len(embedder.seen) == 7  # the first one twice: the model loads on its first use
    missing = system.reembedding.plan(ReembeddingSelector(entity_ids=("n1", "nobody")))
    assert (missing.records, missing.sampled) == ({"": 1, "Person": 1}, 1)


# ---------------------------------------------------------------------- without an engine


def _alone(system: MemorySystem, *, with_graph: bool = True) -> ReembeddingService:
    store = SchemaVersionedEmbeddingStore(
        system.index,
        system.registry,
        system.journal,
        system.clock,
        schema=system.graph.schema if with_graph else None,
        schema_at=system.graph.schema_at if with_graph else None,
    )
    return ReembeddingService(store, system.service, system.graph if with_graph else None)


def test_without_an_engine_the_caller_embeds_in_batches_highest_confidence_first() -> None:
    system, embedder = _filled(25)
    result = _alone(system).trigger_reembedding(schema_version=1_000, batch_size=4)
    assert (result.selected, result.failed) == (25, {})
    confidences = [system.stamp(text).extraction_confidence for text in embedder.seen]  # type: ignore[union-attr]
    assert len(confidences) == 25
    assert confidences == sorted(confidences, key=lambda known: -(known or 0.0))
    assert system.journal.work_count() == 0
    assert system.audit().is_consistent


def test_without_an_engine_what_fails_is_kept_with_its_error_and_tried_again() -> None:
    system, embedder = _filled(6)
    broken = {"n3"}

    def embed_batch(requests: Sequence[EmbeddingRequest]) -> Sequence[EmbeddingResult]:
        if any(request.content in broken for request in requests):
            raise PoisonEventError("no")
        return system.service.embed_batch(requests)

    class _Failing:
        def __getattr__(self, name: str) -> Any:
            return embed_batch if name == "embed_batch" else getattr(system.service, name)

    service = ReembeddingService(system.store, _Failing(), system.graph)
    result = service.trigger_reembedding(schema_version=1_000, batch_size=4)
    assert result.failed == {entity_key("n3"): "PoisonEventError: no"}
    (kept,) = system.journal.work(None, 10)
    assert (kept.key, kept.lane, kept.attempts, kept.error) == (
        entity_key("n3"),
        Lane.MIGRATION,
        1,
        "PoisonEventError: no",
    )
    assert sorted(embedder.seen) == ["n0", "n1", "n2", "n4", "n5"]
    broken.clear()
    again = service.resume()
    assert (again.failed, system.journal.work_count()) == ({}, 0)
    assert embedder.seen[-1] == "n3"


def test_without_a_graph_texts_are_not_known() -> None:
    system, _ = _filled(1)
    service = _alone(system, with_graph=False)
    with pytest.raises(ConfigError, match="pass pkg_client"):
        service.trigger_reembedding(schema_version=1)
    with pytest.raises(ConfigError, match="pass pkg_client"):
        service.plan(ReembeddingSelector(schema_version=1))


class Killed(BaseException):
    """What a kill is to the code that it strikes."""


def test_what_an_interrupted_marking_has_flagged_is_embedded_when_it_is_opened_again() -> None:
    def hook(name: str) -> None:
        if name == "index.restamp.after" and armed:
            raise Killed

    armed = False
    embedder = NotingEmbedder()
    system = MemorySystem(embedder=embedder, hook=hook)
    for name in ("a", "b", "c"):
        system.graph.create_entity("Person", name, {"name": name})
    system.settle()
    embedder.seen.clear()
    armed = True
    with pytest.raises(Killed):
        system.store.mark_for_reembedding(["a", "b"], reason="doubted")
    armed = False
    assert system.journal.work_count() == 0
    assert {stamp.entity_id for stamp in system.index.scan(None, 10) if stamp.needs_reembedding} == {"a", "b"}
    system.reopen()
    system.settle()
    assert sorted(embedder.seen) == ["a", "b"]
    assert [s.reembedding_reason for s in system.index.scan(None, 10) if s.entity_id != "c"] == ["doubted"] * 2
    assert not any(stamp.needs_reembedding for stamp in system.index.scan(None, 10))
    assert system.journal.get(MARKING) is None
    assert system.audit().is_consistent


def test_a_marking_that_fails_is_not_forgotten_by_the_next_one() -> None:
    def hook(name: str) -> None:
        if name == "index.restamp.after" and armed:
            raise UnavailableError("the acknowledgement is lost")

    armed = False
    system = MemorySystem(hook=hook)
    for name in ("a", "b"):
        system.graph.create_entity("Person", name, {"name": name})
    system.settle()
    armed = True
    with pytest.raises(UnavailableError):
        system.store.mark_for_reembedding(["a"], reason="first")
    armed = False
    system.store.mark_for_reembedding(["b"], reason="second")
    system.settle()
    flagged = [stamp.entity_id for stamp in system.index.scan(None, 10) if stamp.needs_reembedding]
    assert flagged == ["a"]
    system.reopen()
    system.settle()
    reasons = {stamp.entity_id: stamp.reembedding_reason for stamp in system.index.scan(None, 10)}
    assert reasons == {"a": "first", "b": "second"}
    assert system.audit().is_consistent


def test_a_marking_that_ends_leaves_nothing_to_go_on_with() -> None:
    system, embedder = _filled(3)
    system.store.mark_for_reembedding(["n1"], reason="asked")
    system.reopen()
    assert system.engine.intake_stage.selections.due == ()
    system.settle()
    assert embedder.seen == ["n1"]


# ---------------------------------------------------------------------- schema evolutions


def test_versions_are_compared_by_number_value_or_data() -> None:
    system, _ = _filled(2)
    newest = system.graph.schema()
    first = system.reembedding.detect_schema_changes(1, newest.version)
    assert first["new_entity_types"] == ["Company", "Person"]
    assert first["requires_reembedding"] is False
    assert system.reembedding.detect_schema_changes(GraphSchema(), data_of(newest)) == first
    with pytest.raises(NotFoundError, match="schema version 99 is not known"):
        system.reembedding.detect_schema_changes(1, 99)
    with pytest.raises(InvalidInputError, match="batch_size"):
        system.reembedding.trigger_reembedding(1, batch_size=0)


def _evolution(old: GraphSchema, new: GraphSchema) -> PKGEvent:
    return PKGEvent(
        event_id=f"evolution {new.version}",
        event_type=PKGEventType.SCHEMA_EVOLVED,
        entity_id="schema",
        entity_type="Schema",
        timestamp=NOW,
        schema_version=new.version,
        old_data=data_of(old),
        new_data={**data_of(new), "old_version": old.version, "new_version": new.version},
        position=1_000_000,
    )


def _without(schema: GraphSchema, entity_type: str, prop: str | None = None) -> GraphSchema:
    types = {name: dict(properties) for name, properties in schema.entity_types.items()}
    if prop is None:
        del types[entity_type]
    else:
        del types[entity_type][prop]
    return GraphSchema(schema.version + 1, types, schema.relationship_types)


def test_an_evolution_with_an_engine_looks_at_exactly_the_records_that_can_differ() -> None:
    system, embedder = _filled(6)
    old = system.graph.schema()
    system.handler.handle_event(_evolution(old, _without(old, "Person", "name")))
    (selection,) = system.engine.intake_stage.selections.due
    assert (selection.selector.entity_types, selection.force) == (("Person",), False)
    unchanged = system.engine.stats.counters["unchanged"]
    system.settle()
    assert embedder.seen == []  # the graph still has the values: nothing differs
    assert system.engine.stats.counters["unchanged"] == unchanged + 3
    system.handler.handle_event(_evolution(old, GraphSchema(old.version + 1, {**old.entity_types, "Ship": {}})))
    assert system.engine.intake_stage.selections.due == ()


def test_an_evolution_without_an_engine_compares_and_moves_all_other_stamps() -> None:
    system, embedder = _filled(6)
    store = SchemaVersionedEmbeddingStore(system.index, system.registry, system.journal, system.clock)
    old = system.graph.schema()
    newer = _without(old, "Person", "name")
    handler = PKGSyncHandler(system.service, store, system.queue, graph=system.graph)
    system.graph.update_entity("n1", {"name": "changed, and no event of it"})
    assert handler.handle_event(_evolution(old, newer))
    assert embedder.seen == ["changed, and no event of it"]
    assert store.current_schema_version == newer.version
    versions = {stamp.schema_version for stamp in system.index.scan(None, 100)}
    assert versions == {newer.version}


def test_a_removed_type_loses_its_vectors_without_a_graph_too() -> None:
    system, embedder = _filled(6)
    store = SchemaVersionedEmbeddingStore(system.index, system.registry, system.journal, system.clock)
    handler = PKGSyncHandler(system.service, store, system.queue, views=ViewSet([View("Company", "{{ size }}")]))
    old = system.graph.schema()
    assert handler.handle_event(_evolution(old, _without(old, "Person")))
    assert {stamp.entity_type for stamp in system.index.scan(None, 100)} == {"Company"}
    held = system.index.stamps([entity_key("n1")])[entity_key("n1")]
    assert held.tombstone == Position(1_000_000)
    assert {stamp.schema_version for stamp in system.index.scan(None, 100)} == {old.version + 1}
    assert store.schema_at(old.version + 1) is not None
    assert embedder.seen == []


def test_without_a_graph_what_can_differ_is_flagged_until_its_next_event() -> None:
    system, embedder = _filled(4)
    store = SchemaVersionedEmbeddingStore(system.index, system.registry, system.journal, system.clock)
    handler = PKGSyncHandler(system.service, store, system.queue)
    old = system.graph.schema()
    newer = _without(old, "Person", "name")
    assert handler.handle_event(_evolution(old, newer))
    flagged = {stamp.key.id for stamp in system.index.scan(None, 100) if stamp.needs_reembedding}
    assert flagged == {"n1", "n3"}
    (metadata,) = store.get_metadata("n1")
    assert metadata.reembedding_reason == f"schema version {newer.version}"
    updated = PKGEvent(
        event_id="u",
        event_type=PKGEventType.ENTITY_UPDATED,
        entity_id="n1",
        entity_type="Person",
        timestamp=NOW,
        schema_version=newer.version,
        new_data={"name": "n1"},
        position=1_000_001,
    )
    assert handler.handle_event(updated)
    assert embedder.seen == ["n1"]
    (metadata,) = store.get_metadata("n1")
    assert not metadata.needs_reembedding


def test_an_evolution_that_tells_nothing_has_everything_compared_where_there_is_a_graph() -> None:
    system, embedder = _filled(4)
    bare = PKGEvent(
        event_id="s",
        event_type=PKGEventType.SCHEMA_EVOLVED,
        entity_id="schema",
        entity_type="Schema",
        timestamp=NOW,
        schema_version=77,
        new_data={"old_version": 76, "new_version": 77},
    )
    assert system.handler.handle_event(bare)
    (selection,) = system.engine.intake_stage.selections.due
    assert selection.selector.schema_version == 77
    system.settle()
    assert embedder.seen == []


def test_an_evolution_with_malformed_types_is_a_dead_letter_and_changes_nothing() -> None:
    system, _ = _filled(2)
    old = system.graph.schema()
    event = _evolution(old, GraphSchema(old.version + 1)).model_copy(
        update={"new_data": {"version": old.version + 1, "entity_types": {"Person": ["name"]}}}
    )
    assert not system.handler.handle_event(event)
    (letter,) = system.journal.letters(None, 10)
    assert "entity_types.Person: must be a mapping" in letter.error
    assert system.engine.intake_stage.selections.due == ()


@pytest.mark.parametrize("text", ["{", '[{"id": 1}]', '[{"id": 1, "selector": {}, "reason": "", "force": true}]'])
def test_selections_that_can_not_be_read_are_corruption(text: str) -> None:
    system, _ = _filled(1)
    system.journal.set(SELECTIONS, text)
    with pytest.raises(CorruptionError, match="selec"):
        system.reopen()
