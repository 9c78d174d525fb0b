"""Comparisons that the log does not explain: weighed first, and braked when they would take too much of the index."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.domain.brake import BRAKE, Braked, BrakeSettings
from slipstream.domain.errors import PositionLostError, UnavailableError
from slipstream.domain.journal_names import ADOPTED, SWEEP_DUE
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.log import LogEntry
from slipstream.domain.positions import Position
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View, Words

ENTITIES, LIMIT = 40, 10


def make_system(brake: BrakeSettings | None = None) -> MemorySystem:
    limits = brake or BrakeSettings(share=0.0, records_min=LIMIT)
    system = MemorySystem(settings=SyncSettings(brake=limits, log_page=7))
    for number in range(ENTITIES):
        system.graph.create_entity("Person", f"p{number}", {"name": f"Person {number}"})
    system.settle()
    return system


def unlogged(graph: MemoryGraph) -> dict[str, object]:
    """Return the entities of the graph, to be changed as no log tells."""
    return graph._entities  # type: ignore[return-value]


def wipe(system: MemorySystem, numbers: Sequence[int]) -> None:
    """Remove entities past the log, and say that something has happened."""
    for number in numbers:
        del unlogged(system.graph)[f"p{number}"]
    system.graph.advance(Position(system.graph.feed.head() + 1))


def held(system: MemorySystem) -> set[str]:
    assert isinstance(system.index, MemoryIndex)
    return {key.id for key, records in system.index._records.items() if records}


def braked(system: MemorySystem) -> Braked | None:
    return Braked.load(system.journal.get(BRAKE))


def test_what_the_brake_allows_is_done() -> None:
    system = make_system()
    wipe(system, range(LIMIT))
    system.settle()
    assert len(held(system)) == ENTITIES - LIMIT
    assert system.audit().is_consistent
    assert (braked(system), system.journal.get(SWEEP_DUE)) == (None, None)


def test_beyond_it_nothing_is_done_and_the_log_goes_on() -> None:
    system = make_system()
    wipe(system, range(LIMIT + 1))
    rescan = system.graph.feed.head()
    written = system.graph.update_entity("p30", {"name": "Ada"})
    system.settle()
    assert len(held(system)) == ENTITIES
    assert system.engine.frontier >= written > rescan
    stamp = system.stamp("p30")
    assert stamp is not None
    assert stamp.position >= written
    found = braked(system)
    assert found is not None
    assert "11 records to delete and 0 to embed" in found.why
    assert system.journal.get(SWEEP_DUE) is None
    assert {key.id for key in system.audit().divergences["orphaned"]} == {f"p{n}" for n in range(LIMIT + 1)}


def test_a_share_of_the_index_counts_where_it_is_more() -> None:
    for gone, left in ((20, 20), (21, 40)):
        system = make_system(BrakeSettings(share=0.5, records_min=1))
        wipe(system, range(gone))
        system.settle()
        assert len(held(system)) == left
        assert (braked(system) is None) == (gone == 20)


def test_new_stamps_do_not_count() -> None:
    system = make_system()
    entities = system.graph._entities
    for number in range(20, 40):  # past the log: the same text from another source
        entity = entities[f"p{number}"]
        properties = {**entity.properties, "source_document_id": "another"}
        entities[f"p{number}"] = entity._replace(properties=properties)
    wipe(system, range(LIMIT))
    assert len(system.audit().divergences["stale"]) == 20
    system.settle()
    assert (len(held(system)), system.audit().is_consistent) == (ENTITIES - LIMIT, True)
    assert system.engine.stats.counters["restamped"] >= 20


def test_embedding_counts_like_deleting() -> None:
    system = make_system()
    assert isinstance(system.index, MemoryIndex)
    for number in range(LIMIT + 1):
        del system.index._records[entity_key(f"p{number}")]
    embedded = system.engine.stats.counters["embedded"]
    system.graph.advance(Position(system.graph.feed.head() + 1))
    system.settle()
    assert system.engine.stats.counters["embedded"] == embedded
    found = braked(system)
    assert found is not None
    assert "0 records to delete and 11 to embed" in found.why


def test_what_commits_explain_does_not_count() -> None:
    system = make_system()
    wipe(system, range(5))
    for number in range(10, 40):  # behind the scan in the log, and read by it all the same
        system.graph.delete_entity(f"p{number}")
    system.settle()
    assert held(system) == {f"p{number}" for number in range(5, 10)}
    assert braked(system) is None


def test_what_was_adopted_needs_no_brake() -> None:
    system = make_system()
    system.journal.set(ADOPTED, str(system.graph.feed.head() + 1))
    wipe(system, range(30))
    system.settle()
    assert len(held(system)) == ENTITIES - 30
    wipe(system, range(30, 40))  # a later one does, within the limit
    system.settle()
    assert (held(system), braked(system)) == (set(), None)


def test_an_empty_graph_is_braked_and_the_brake_survives_a_restart() -> None:
    system = make_system()
    wipe(system, range(ENTITIES - 1))
    system.settle()
    before = braked(system)
    system.reopen()
    system.settle()
    assert len(held(system)) == ENTITIES
    assert braked(system) == before is not None


def test_dying_before_the_verdict_repeats_it() -> None:
    system = make_system()
    wipe(system, range(LIMIT + 1))
    for steps in range(12):
        for _ in range(steps):
            system.engine.step()
        system.reopen()
        assert len(held(system)) == ENTITIES
    system.settle()
    assert (len(held(system)), braked(system) is not None) == (ENTITIES, True)


@pytest.mark.parametrize("gone", [LIMIT, LIMIT + 1])
def test_an_outage_while_it_weighs_is_waited_out(gone: int) -> None:
    system = make_system()
    wipe(system, range(gone))
    failing = 12

    def outage(name: str) -> None:
        nonlocal failing
        if name.startswith("index.stamps") and failing:
            failing -= 1
            raise UnavailableError("the index is down")

    system.hook = outage
    system.settle()
    assert failing == 0
    assert (len(held(system)), braked(system) is None) == ((30, True) if gone == LIMIT else (40, False))


def test_a_key_that_can_not_be_rendered_is_no_weight_and_becomes_a_dead_letter() -> None:
    unsaid = Words(name=("title",), body=("title",))  # word rows have a brake of their own
    view = View("Person", template="{{ name | round }}", words=unsaid)
    system = MemorySystem(views=[view], settings=SyncSettings(brake=BrakeSettings(share=0.0, records_min=0)))
    system.graph.create_entity("Person", "p0", {"name": 1})
    system.settle()
    entity = system.graph._entities["p0"]
    system.graph._entities["p0"] = entity._replace(properties={"name": "none"})
    system.graph.advance(Position(system.graph.feed.head() + 1))
    system.settle()
    assert (system.engine.letter_count, braked(system)) == (1, None)


# ---------------------------------------------------------------------- a log that was lost


def lose_log(system: MemorySystem) -> None:
    """Have the log fail once, as one that was trimmed past the checkpoint does."""
    feed = system.graph.feed
    read, checkpoint = feed.read, system.engine.checkpoint

    def lost(after: Position, limit: int) -> Sequence[LogEntry]:
        if after <= checkpoint:
            raise PositionLostError("trimmed")
        return read(after, limit)

    feed.read = lost  # type: ignore[method-assign]


@pytest.mark.parametrize(("gone", "left"), [(LIMIT, ENTITIES - LIMIT), (LIMIT + 1, ENTITIES)])
def test_a_lost_log_is_weighed(gone: int, left: int) -> None:
    system = make_system()
    wipe(system, range(gone))
    lose_log(system)
    system.reopen()
    assert system.journal.get(SWEEP_DUE) is not None
    system.settle()
    assert (len(held(system)), braked(system) is None) == (left, gone == LIMIT)
    assert system.journal.get(SWEEP_DUE) is None
    assert system.engine.frontier == system.graph.feed.head()


def test_a_lost_log_is_weighed_again_when_the_process_dies_meanwhile() -> None:
    system = make_system()
    wipe(system, range(LIMIT))
    lose_log(system)
    system.reopen()
    for _ in range(3):
        system.engine.step()
    system.reopen()
    system.settle()
    assert len(held(system)) == ENTITIES - LIMIT


def test_a_new_index_is_filled_whatever_the_log_has_lost() -> None:
    system = make_system()
    fresh = MemorySystem(settings=system.settings)
    fresh.graph = system.graph
    lose_log(fresh)
    fresh.reopen()
    fresh.settle()
    assert len(held(fresh)) == ENTITIES
    assert braked(fresh) is None


# ---------------------------------------------------------------------- without mending


def test_without_mending_the_log_goes_on_and_the_next_process_decides() -> None:
    system = make_system()
    wipe(system, range(5))
    written = system.graph.update_entity("p30", {"name": "Ada"})
    system.engine.intake_stage.sweeps = False
    system.settle()
    assert len(held(system)) == ENTITIES
    assert system.engine.consumed >= written > system.engine.frontier  # nobody knows yet what is reflected
    assert system.engine.is_settled()
    assert {key.id for key in system.auditor.audit().divergences["orphaned"]} == {f"p{n}" for n in range(5)}
    system.reopen()
    assert not system.engine.is_settled()
    system.settle()
    assert (len(held(system)), braked(system)) == (ENTITIES - 5, None)
    assert system.engine.frontier >= written


def test_views_that_were_changed_explain_what_differs() -> None:
    system = make_system()
    system.views = [View("Person", template="Somebody called {{ name }}")]
    system.reopen()
    system.engine.request_full_scan()
    system.settle()
    assert system.audit().is_consistent
    assert (len(held(system)), braked(system)) == (ENTITIES, None)


def test_keys_are_looked_at_again_before_the_brake_decides() -> None:
    """What a commit has explained between the first look and the verdict does not count."""
    system = make_system()
    looks: list[list[RecordKey]] = []
    scales = system.engine.intake_stage._scales
    weigh = scales.weigh

    def weighed(keys: Sequence[RecordKey]) -> object:
        looks.append(list(keys))
        return weigh(keys)

    scales.weigh = weighed  # type: ignore[method-assign,assignment]
    wipe(system, range(LIMIT + 1))
    system.settle()
    seen = [key.id for page in looks for key in page]
    assert seen.count("p0") == 4  # twice in the log's place, twice in the background
    assert seen.count("p39") <= 2
