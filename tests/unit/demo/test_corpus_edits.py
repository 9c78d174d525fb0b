"""A stream of edits: reproducible, applicable in order, never about something that is gone."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.demo.corpus.edits import Edit, EditKind, live_edits
from slipstream.demo.corpus.python_environment import read_environment
from slipstream.domain.entities import Entity
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.clock import ManualClock


@pytest.fixture(scope="module")
def entities() -> list[Entity]:
    return [item for item in read_environment(entities_max=1_500) if isinstance(item, Entity)]


def _apply(edit: Edit, graph: dict[str, Entity], created: set[RelationshipRef]) -> None:
    """Apply an edit as strictly as a graph would."""
    if edit.kind is EditKind.CREATE:
        assert edit.entity.id not in graph
        graph[edit.entity.id] = edit.entity
    elif edit.kind is EditKind.DELETE:
        assert graph.pop(edit.entity.id) == edit.entity
    elif edit.kind is not EditKind.DEPEND:
        before = graph[edit.entity.id]
        merged = {**before.properties, **edit.changed}
        assert merged != before.properties, "an edit changes something"
        assert merged == edit.entity.properties
        graph[edit.entity.id] = edit.entity
    if edit.relationship is not None:
        ref = edit.relationship.ref
        assert ref.source_id in graph
        assert ref.target_id in graph
        assert ref not in created or edit.kind is EditKind.CREATE
        created.add(ref)


def test_edits_apply_in_order_and_are_of_every_kind(entities: list[Entity]) -> None:
    graph = {entity.id: entity for entity in entities}
    created: set[RelationshipRef] = set()
    kinds: Counter[EditKind] = Counter()
    for edit in islice(live_edits(entities, seed=7), 3_000):
        _apply(edit, graph, created)
        kinds[edit.kind] += 1
    assert set(kinds) == set(EditKind)
    assert kinds[EditKind.REWORD] > kinds[EditKind.MOVE] > kinds[EditKind.DEPEND]


def test_a_seed_decides_the_stream(entities: list[Entity]) -> None:
    first, again, other = (list(islice(live_edits(entities, seed), 200)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_descriptions_do_not_grow_for_ever() -> None:
    only = Entity("concept:one", "Concept", {"name": "one", "description": "One."})
    edits = list(islice(live_edits([only], seed=3), 500))
    assert {edit.kind for edit in edits} == {EditKind.REWORD}
    assert max(len(str(edit.entity.properties["description"])) for edit in edits) < 100


def test_the_last_described_entity_is_not_deleted() -> None:
    only = Entity("code:m.f", "CodeEntity", {"name": "f", "description": "F.", "kind": "function", "line": 1})
    assert all(edit.kind is not EditKind.DELETE for edit in islice(live_edits([only], seed=5), 500))


def test_a_rename_changes_the_name_alone_in_the_signature() -> None:
    properties = {"name": "sync", "qualified_name": "m.sync", "signature": "async def sync(self)", "kind": "method"}
    entity = Entity("code:m.sync", "CodeEntity", {**properties, "description": "Sync.", "line": 1})
    edit = next(edit for edit in live_edits([entity], seed=5) if edit.kind is EditKind.RENAME)
    name = edit.entity.properties["name"]
    assert edit.entity.properties["signature"] == f"async def {name}(self)"
    assert edit.entity.properties["qualified_name"] == f"m.{name}"
    assert edit.entity.id == "code:m.sync"


def test_nothing_to_edit_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError, match="entities"):
        live_edits([Entity("x", "Thing", {"name": "x"})], seed=1)


def _write(tx: GraphTransaction, edit: Edit) -> None:
    if edit.kind is EditKind.CREATE:
        tx.create_entity(edit.entity.type, edit.entity.id, edit.entity.properties)
    elif edit.kind is EditKind.DELETE:
        tx.delete_entity(edit.entity.id)
    elif edit.changed:
        tx.update_entity(edit.entity.id, edit.changed)
    if edit.relationship is not None:
        ref = edit.relationship.ref
        tx.relate(ref.source_id, ref.type, ref.target_id, edit.relationship.properties, replace=True)


def test_a_graph_accepts_the_environment_and_every_edit_of_it() -> None:
    graph = MemoryGraph(ManualClock())
    items = list(read_environment(entities_max=1_000))
    with graph.transaction() as tx:
        for item in items:
            if isinstance(item, Entity):
                tx.create_entity(item.type, item.id, item.properties)
            else:
                assert (
                    tx.relate(item.ref.source_id, item.ref.type, item.ref.target_id, item.properties) == item.ref.id
                )
    assert sum(graph.counts().values()) == len(items)
    for edit in islice(live_edits([item for item in items if isinstance(item, Entity)], seed=11), 300):
        before = graph.feed.head()
        with graph.transaction() as tx:
            _write(tx, edit)
        assert graph.feed.head() > before or edit.kind is EditKind.DEPEND, "every edit is a change"
