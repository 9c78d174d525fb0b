"""Schema evolutions, from the log or by the handler: all that they change without events is found."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from slipstream.domain.entities import Entity, PropertyValue
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.events.handler import PKGSyncHandler
from slipstream.evolution.changes import data_of
from slipstream.ports.scans import PAGE
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View

MANY = PAGE * 2 + 200
"""Records: more than two pages of the index."""


def _confidence(number: int) -> float:
    return number * 7_919 % MANY / MANY


def _properties(name: str, number: int) -> dict[str, PropertyValue]:
    return {"name": name, "age": number, "extraction_confidence": _confidence(number)}


def _filled(people: int) -> tuple[MemorySystem, HashEmbedder]:
    embedder = HashEmbedder(dimension=16)
    system = MemorySystem((View("Person", "{{ name }}"), View("Ship", "{{ name }}")), embedders=(embedder,))
    with system.graph.transaction() as tx:
        for number in range(people):
            tx.create_entity("Person", f"p{number}", _properties(f"name {number}", number))
        tx.create_entity("Ship", "mary", {"name": "Mary"})
    system.settle()
    return system, embedder


def _convert_names(system: MemorySystem, people: int) -> None:
    """Give names other values without an event of any entity, as a store that retypes a property does."""
    for number in range(people):
        system.graph.write_raw(Entity(f"p{number}", "Person", _properties(f"converted {number}", number)))
    system.graph.write_raw(Entity("mary", "Ship", {"name": "converted, too, but nobody says so"}))


def _evolved(system: MemorySystem, **retyped: str) -> PKGEvent:
    """Return the next event: of a schema in which properties of Person have other types."""
    old = system.graph.schema()
    types = {name: dict(known) for name, known in old.entity_types.items()}
    types["Person"].update(retyped)
    return PKGEvent(
        event_id="evolved",
        event_type=PKGEventType.SCHEMA_EVOLVED,
        entity_id="schema",
        entity_type="Schema",
        timestamp=datetime(2026, 5, 1, tzinfo=UTC),
        schema_version=old.version + 1,
        old_data=data_of(old),
        new_data=data_of(GraphSchema(old.version + 1, types, old.relationship_types)),
        position=system.graph.feed.head() + 1,
    )


def _numbers(embedder: HashEmbedder) -> list[int]:
    assert all(text.startswith("converted ") for text in embedder.embedded)
    return [int(text.split()[1]) for text in embedder.embedded]


def test_an_evolution_in_the_log_has_exactly_the_types_looked_at_that_show_what_changed() -> None:
    system, embedder = _filled(5)
    _convert_names(system, 5)
    embedder.reset()
    system.graph.feed.append([_evolved(system, name="integer")])
    while system.engine.consumed < system.graph.feed.head():
        assert system.engine.step()
    (selection,) = system.engine.intake_stage.selections.due
    assert (selection.selector.entity_types, selection.force) == (("Person",), False)
    system.reopen()  # what was read from the log is durable
    system.settle()
    assert sorted(_numbers(embedder)) == [0, 1, 2, 3, 4]
    assert system.engine.frontier == system.graph.feed.head()


def test_an_evolution_in_the_log_that_no_view_shows_selects_nothing() -> None:
    system, embedder = _filled(5)
    _convert_names(system, 5)
    embedder.reset()
    system.graph.feed.append([_evolved(system, age="string")])
    system.settle()
    assert system.engine.intake_stage.selections.due == ()
    assert embedder.embedded == []


def test_an_evolution_in_the_log_that_can_not_be_read_has_everything_compared() -> None:
    system, embedder = _filled(5)
    _convert_names(system, 5)
    embedder.reset()
    told = {"old_version": 98, "new_version": 99}
    system.graph.feed.append([_evolved(system).model_copy(update={"old_data": None, "new_data": told})])
    system.settle()
    assert len(embedder.embedded) == 6, "Mary, too"


@pytest.mark.parametrize("way", ["log", "handler", "handler without an engine"])
def test_an_evolution_embeds_all_pages_by_falling_confidence(way: str) -> None:
    system, embedder = _filled(MANY)
    _convert_names(system, MANY)
    embedder.reset()
    event = _evolved(system, name="integer")
    if way == "log":
        system.graph.feed.append([event])
        system.settle()
    elif way == "handler":
        assert system.handler.handle_event(event)
        assert embedder.embedded == []
        system.settle()
    else:
        recipes = system.engine.recipes
        alone = PKGSyncHandler(system.service, system.store, system.queue, graph=system.graph, views=recipes)
        assert alone.handle_event(event)
    found = [_confidence(number) for number in _numbers(embedder)]
    assert len(found) == MANY
    assert found == sorted(found, reverse=True)
    (first, last) = (system.stamp(f"p{number}") for number in (0, MANY - 1))
    assert first is not None
    assert last is not None
    assert {first.position, last.position} == {Position(system.graph.feed.head())}
