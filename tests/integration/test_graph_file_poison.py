"""Rows that nobody can work with: the engine goes on, and what can not be embedded is a dead letter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.composition.opening import DATA_FOLDER
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import EntityState, Hop
from slipstream.domain.errors import CorruptionError, PoisonEventError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import ORIGIN
from slipstream.ports.sync_view import EntitySync
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.graph_files import made, opened, run_raw, told

DEEP = '{"a": ' + "[" * 900 + "1" + "]" * 900 + "}"
TAGGED = '{"a": ' + '{"$x": ' * 600 + "1" + "}" * 600 + "}"
UNREADABLE = {
    "nested deeply": DEEP,
    "nested deeply in tags": TAGGED,
    "a lone surrogate": '{"name": "\\ud800"}',
    "a lone surrogate in a name": '{"\\udfff": 1}',
    "a number of 5,000 digits": '{"n": ' + "9" * 5000 + "}",
}
PUT = "INSERT INTO entity(id, type, properties) VALUES (?, 'Person', ?)"
HAND_MADE = [
    "INSERT INTO change(kind) VALUES ('+e')",
    "INSERT INTO change(kind, id, type) VALUES ('+e', '', 'T')",
    "INSERT INTO change(kind, id, type) VALUES ('~e', x'00ff', 'T')",
    "INSERT INTO change(kind, id, type) VALUES ('-e', CAST(x'ff' AS TEXT), 'T')",
    "INSERT INTO change(kind, id, type, at) VALUES ('-e', 'x', 'T', 9e99)",
    "INSERT INTO change(kind, id, type, old, new) VALUES ('~e', 'x', 'T', 'nonsense', '[1]')",
    "INSERT INTO change(kind, id, type, old, new) VALUES ('~e', 'x', 'T', 7, x'ff')",
    "INSERT INTO change(kind, source, type, target) VALUES ('+r', 'ada', 'KNOWS', 'bob')",
    "INSERT INTO change(kind, source, type, target, key) VALUES ('~r', NULL, 'KNOWS', 'bob', '')",
    "INSERT INTO change(kind, source, type, target, key) VALUES ('-r', 'ada', '', 'bob', '')",
    "INSERT INTO change(kind) VALUES ('no such kind')",
    "INSERT INTO change(kind) VALUES (x'00')",
    "INSERT INTO change(kind, new) VALUES ('*', 'nonsense')",
    "INSERT INTO change(kind, new) VALUES ('*', '7')",
    "INSERT INTO change(kind, new) VALUES ('*', '[[1]]')",
    "INSERT INTO change(kind, new) VALUES ('s', '²')",
    "INSERT INTO change(kind, new) VALUES ('s', '999')",
    "INSERT INTO change(kind, new) VALUES ('s', replace(hex(zeroblob(2500)), '0', '9'))",
    "INSERT INTO change(kind) VALUES ('s')",
    "INSERT INTO consumer VALUES ('theirs', 'nonsense')",
]


@pytest.fixture
def pkg(tmp_path: Path) -> Iterator[Slipstream]:
    slipstream = open_pkg(tmp_path, config=Config(), options=Options(embedders=(HashEmbedder(dimension=16),)))
    with slipstream.pkg.transaction() as tx:
        tx.create_entity("Person", "ada", {"name": "Ada"})
        tx.create_entity("Person", "bob", {"name": "Bob"})
        tx.relate("ada", "KNOWS", "bob")
    assert slipstream.sync.drain(30)
    yield slipstream
    slipstream.close()


def test_properties_that_can_not_be_read_are_a_dead_letter_each(pkg: Slipstream, tmp_path: Path) -> None:
    for kind, properties in UNREADABLE.items():
        run_raw(tmp_path / DATA_FOLDER, PUT, kind, properties)
    run_raw(tmp_path / DATA_FOLDER, PUT, "good", '{"name": "Good"}')
    assert pkg.sync.drain(30)
    assert {letter.key for letter in pkg.list_dead_letters()} == {entity_key(kind) for kind in UNREADABLE}
    assert found(pkg) >= {"ada", "bob", "good"}
    pkg.verify()
    with pkg.pkg.transaction() as tx:
        for kind in UNREADABLE:
            tx.upsert_entity("Person", kind, {"name": "Mended"})
    assert pkg.sync.drain(30)
    assert found(pkg) == {"ada", "bob", "good", *UNREADABLE}
    assert pkg.verify().consistency == 1


def found(pkg: Slipstream) -> set[str]:
    return {hit.entity_id for hit in pkg.search("anyone", k=50)}


def test_rows_of_the_log_that_somebody_wrote_by_hand_are_survived(pkg: Slipstream, tmp_path: Path) -> None:
    for number, statement in enumerate(HAND_MADE):
        run_raw(tmp_path / DATA_FOLDER, statement)
        with pkg.pkg.transaction() as tx:
            tx.create_entity("Person", f"eve {number}", {"name": "Eve"})
        assert pkg.sync.wait(tx.position, 30), statement
        assert f"eve {number}" in found(pkg)
    assert pkg.sync.drain(30)
    assert pkg.verify().consistency == 1


def test_a_neighbour_that_can_not_be_read_spoils_nobody_else(tmp_path: Path) -> None:
    graph = made(tmp_path)
    run_raw(tmp_path, "UPDATE entity SET properties = ? WHERE id = 'bob'", DEEP)
    states = graph.read([entity_key("ada"), entity_key("bob")], {"Person": [Hop("KNOWS")]}).states
    ada, bob = states[entity_key("ada")], states[entity_key("bob")]
    assert isinstance(ada, EntityState)
    assert isinstance(bob, EntityState)
    assert ada.entity.properties == {"name": "Ada"}
    ((neighbour,),) = ada.neighbours.values()
    for entity in (neighbour.entity, bob.entity):
        with pytest.raises(PoisonEventError, match=r"'bob' can not be read: .*nested deeper than 32"):
            entity.properties.get("name")
        assert "can not be read" in repr(entity)
    with pytest.raises(PoisonEventError), graph.transaction() as tx:
        tx.update_entity("bob", {"name": "Bob"})
    with graph.transaction() as tx:
        tx.upsert_entity("Person", "bob", {"name": "Bob"})
    graph.close()


def test_duplicate_keys_and_nulls_are_read_as_python_reads_them(tmp_path: Path) -> None:
    graph = made(tmp_path)
    run_raw(tmp_path, PUT, "eve", '{"name": "first", "name": "last", "none": null, "id": "other"}')
    state = graph.read([entity_key("eve")], {}).states[entity_key("eve")]
    assert isinstance(state, EntityState)
    assert state.entity.properties == {"name": "last"}
    event = graph.feed.read(ORIGIN, 100)[-1]
    assert isinstance(event, PKGEvent)
    assert event.new_data == {"name": "last"}
    graph.close()


def test_texts_of_any_script_come_back_as_they_are(tmp_path: Path) -> None:
    graph = made(tmp_path)
    name = "é, 日本, 😀, \x7f, \ufffe \U0010ffff"
    run_raw(
        tmp_path, "INSERT INTO entity(id, type, properties) VALUES (?, ?, ?)", name, name, json.dumps({name: name})
    )
    state = graph.read([entity_key(name)], {}).states[entity_key(name)]
    assert isinstance(state, EntityState)
    assert (state.entity.type, state.entity.properties) == (name, {name: name})
    assert f"entity_created {name}" in told(graph)
    assert name in graph.schema().entity_types
    graph.close()


def test_the_schema_inside_a_transaction_is_the_committed_one(tmp_path: Path) -> None:
    graph = made(tmp_path)
    before = graph.schema()
    with suppress(ZeroDivisionError), graph.transaction() as tx:
        tx.create_entity("Robot", "eve", {"serial": 7})
        assert graph.schema() == before
        assert graph.schema_at(before.version + 1) is None
        raise ZeroDivisionError
    with graph.transaction() as tx:
        tx.create_entity("Town", "delft")
        assert graph.schema() == before
    assert graph.schema().version == before.version + 1
    assert graph.schema().entity_types.keys() == {"Person", "Town"}
    graph.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE schema_version SET added = 'nonsense'",
        """UPDATE schema_version SET added = '{"entity_types": []}'""",
        "UPDATE schema_version SET created_at = 'yesterday'",
        "DELETE FROM schema_version WHERE version = 2",
    ],
)
def test_a_schema_that_somebody_spoilt_is_told(tmp_path: Path, statement: str) -> None:
    graph = made(tmp_path)
    with graph.transaction() as tx:
        tx.create_entity("Town", "delft")
    graph.close()
    run_raw(tmp_path, statement)
    graph = opened(tmp_path)
    with pytest.raises(CorruptionError, match=r"schema version \d .*restore a backup"):
        graph.schema()
    graph.close()


def test_a_replaced_entity_is_another_one_for_those_who_show_it(tmp_path: Path) -> None:
    """REPLACE fires no trigger for the row that goes, and neighbours that show it have to be looked at again."""
    graph = made(tmp_path)
    head = graph.feed.head()
    run_raw(tmp_path, "REPLACE INTO entity(id, type, properties) VALUES ('bob', 'Robot', '{\"name\": \"R2\"}')")
    assert sorted(told(graph)[head:]) == ["entity_created bob", "relationship_created KNOWS:ada:bob"]
    run_raw(tmp_path, "UPDATE OR REPLACE entity SET id = 'ada' WHERE id = 'bob'")
    kinds = {
        (entry.event_type, entry.entity_id) for entry in graph.feed.read(ORIGIN, 100) if isinstance(entry, PKGEvent)
    }
    assert (PKGEventType.RELATIONSHIP_CREATED, "KNOWS:ada:ada") in kinds
    graph.close()


def test_a_sync_view_that_somebody_spoilt_is_read_past(tmp_path: Path) -> None:
    graph = made(tmp_path)
    spoilt = [("nonsense", None), ("fresh", "yesterday"), (b"", 7), ("fresh", None)]
    for number, (state, embedded_at) in enumerate(spoilt):
        row = "INSERT INTO sync_state(entity_id, entity_type, state, embedded_at) VALUES (?, 'T', ?, ?)"
        run_raw(tmp_path, row, f"e{number}", state, embedded_at)
    view = graph.sync_view
    assert view.read(["e0", "e1", "e2", "e3"]).keys() == {"e3"}
    assert [state.entity_id for state in view.find(EntitySync.FRESH, 10)] == ["e3"]
    assert view.counts() == {EntitySync.FRESH: 2}
    assert view.prune(10) == 4
    graph.close()
