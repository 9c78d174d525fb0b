"""The graph is lost, emptied, replaced or put back: nothing is written, searches go on, and somebody decides."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.audit import timeline
from slipstream.domain.errors import ConfigError, IncidentError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from tests.integration.incident_world import ADAPTERS, HAPPENED, PEOPLE, World


def _stamps(slip: Slipstream) -> dict[str, Position]:
    found: dict[str, Position] = {}
    after: RecordKey | None = None
    while page := slip.store.index.scan(after, 1_000):
        found.update((stamp.entity_id, stamp.position) for stamp in page)
        after = page[-1].key
    return found


def _state(world: World) -> list[tuple[str, int]]:
    """Return the graph's files, with their sizes."""
    return sorted((path.name, path.stat().st_size) for path in world.graph.parent.glob("graph.db*"))


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("happened", HAPPENED)
def test_it_opens_for_search_only_and_goes_on_when_it_is_adopted(tmp_path: Path, adapter: str, happened: str) -> None:
    happen, kind, entities, embedded = HAPPENED[happened]
    world = World(tmp_path, adapter)
    world.fill()
    happen(world)
    before = _state(world)
    with world.open() as slip:
        incident = slip.incident
        assert incident is not None
        assert incident.kind == kind
        assert len(incident.ways) == 2
        held = _stamps(slip)
        assert len(held) >= PEOPLE
        _searches(slip, held)
        _refuses(slip)
        assert [reading.rule for reading in slip.watch.readings() if reading.is_breached] == ["incident", "halted"]
    with world.open(run=False) as slip:
        assert slip.incident == incident
        assert _stamps(slip) == held
    if kind in ("missing", "empty"):
        assert [entry for entry in _state(world) if entry[0] == "graph.db"] == [
            entry for entry in before if entry[0] == "graph.db"
        ]
    _is_adopted(world, entities, embedded)


def _searches(slip: Slipstream, held: dict[str, Position]) -> None:
    """Every record is found, also of what the graph does not have; what it has is shown as it is."""
    results = slip.search("name 7", k=1)
    assert (results[0].entity_id, results[0].entity_type, results[0].position) == ("p7", "Person", held["p7"])
    assert results[0].score == pytest.approx(1.0, abs=1e-4)
    assert results.degraded
    assert results.incident == slip.incident
    everything = slip.search("name", k=500)
    assert {hit.entity_id: hit.position for hit in everything} == held
    with pytest.raises(IncidentError):
        slip.search("name 7", after=Position(1))


def _refuses(slip: Slipstream) -> None:
    calls: list[Callable[[], object]] = [
        lambda: slip.pkg.upsert_entity("Person", "new", {"name": "new"}),
        slip.verify,
        slip.repair,
        slip.importer,
        slip.applier,
        lambda: slip.migrations.start(),  # noqa: PLW0108  (the part itself refuses)
        lambda: slip.sync.drain(timeout_s=1),
        lambda: slip.sync.mark([entity_key("p1")], reason="x"),
        lambda: slip.store.mark_for_reembedding(["p1"], reason="x"),
        lambda: slip.store.index.vacuum(Position(10)),
        slip.replay_dead_letters,
    ]
    for call in calls:
        with pytest.raises(IncidentError, match=r"Ways on: restore a backup .*repair --adopt"):
            call()


def _is_adopted(world: World, entities: int, embedded: int) -> None:
    with world.open(adopt=True) as slip:
        assert slip.incident is None
        assert slip.sync.drain(timeout_s=60)
        assert len(world.embedder.embedded) == embedded
        report = slip.verify()
        assert report.is_consistent, report.divergences
        assert (report.fresh, report.total_embeddings) == (entities, entities)
        if entities:
            assert report.consistency == 1.0
        position = slip.pkg.create_entity("Person", "new", {"name": "a new day"})
        results = slip.search("a new day", k=1, after=position)
        assert results[0].entity_id == "new"
        assert not results.degraded
        with pytest.raises(ConfigError, match="nothing to adopt"):
            slip.adopt()
    with world.open() as slip:
        assert slip.incident is None
        assert slip.sync.drain(timeout_s=60)
        assert world.embedder.embedded == []


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_was_never_seen_is_no_incident(tmp_path: Path, adapter: str) -> None:
    world = World(tmp_path, adapter)
    world.open().close()
    world.remove()
    with world.open() as slip:
        assert slip.incident is None
    world.remove()
    world.graph.touch()
    world.fill()
    with world.open() as slip:
        assert slip.incident is None
        assert slip.verify().fresh == PEOPLE


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_pair_that_was_copied_together_is_no_incident(tmp_path: Path, adapter: str) -> None:
    """The index first, as it then has seen nothing that the graph has not."""
    world = World(tmp_path, adapter)
    with world.open() as slip:
        slip.pkg.create_entity("Person", "a", {"name": "first"})
        assert slip.sync.drain(timeout_s=60)
        index = world.copied(world.index)
        slip.pkg.create_entity("Person", "b", {"name": "second"})
        graph = world.copied(world.graph)
        slip.pkg.create_entity("Person", "c", {"name": "third"})
        assert slip.sync.drain(timeout_s=60)
    world.put(graph, world.graph)
    world.put(index, world.index)
    if adapter == "chroma":
        shutil.rmtree(world.index.with_name("chroma"))  # what a backup leaves out
    with world.open() as slip:
        assert slip.incident is None
        assert slip.sync.drain(timeout_s=60)
        assert slip.pkg.counts() == {"Person": 2}


def test_a_journal_that_was_put_back_catches_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path, "sqlite")
    world.fill()
    copy = world.copied(world.index)
    with world.open() as slip:
        slip.pkg.update_entity("p1", {"name": "later"})
        slip.pkg.delete_entity("p2")
        assert slip.sync.drain(timeout_s=60)
    world.put(copy, world.index)
    with world.open() as slip:
        assert slip.incident is None
        assert "from before the graph was opened last" in caplog.text
        assert slip.sync.drain(timeout_s=60)
        assert world.embedder.embedded == ["later"]
        assert slip.verify().fresh == PEOPLE - 1
    caplog.clear()
    world.open().close()
    assert caplog.text == ""


@pytest.mark.parametrize("is_lost", [False, True])
def test_an_index_that_is_newer_than_its_journal_is_told_and_compared_when_adopted(
    tmp_path: Path, *, is_lost: bool
) -> None:
    world = World(tmp_path, "chroma")
    world.fill()
    copy = world.copied(world.index)
    with world.open() as slip:
        slip.pkg.update_entity("p1", {"name": "later"})
        assert slip.sync.drain(timeout_s=60)
    world.remove(world.index)
    if not is_lost:
        shutil.copy(copy, world.index)
    for _ in range(5):  # however often it is looked at
        with world.open() as slip:
            assert slip.incident is not None
            assert slip.incident.kind == "index_newer"
            assert slip.search("later", k=1)[0].entity_id == "p1"
    with world.open(adopt=True) as slip:
        assert slip.sync.drain(timeout_s=60)
        assert world.embedder.embedded == []
        assert slip.verify().fresh == PEOPLE
    with world.open() as slip:
        assert slip.incident is None


@pytest.mark.parametrize("is_put_back", [False, True])
def test_a_store_of_vectors_that_is_older_than_its_journal_is_filled_again(
    tmp_path: Path, *, is_put_back: bool
) -> None:
    world = World(tmp_path, "chroma")
    world.fill()
    store = world.index.with_name("chroma")
    copy = shutil.copytree(store, tmp_path / "copy")
    for name in ("first", "later"):
        with world.open() as slip:
            slip.pkg.update_entity("p1", {"name": name})
            assert slip.sync.drain(timeout_s=60)
    shutil.rmtree(store)
    if is_put_back:
        shutil.copytree(copy, store)
    with world.open(run=False) as slip:
        assert slip.incident is None
        assert (slip.status().frontier, slip.status().lag_events > 0) == (0, True)
    with world.open() as slip:
        assert slip.sync.drain(timeout_s=60)
        assert len(world.embedder.embedded) == (1 if is_put_back else PEOPLE)
        assert slip.search("later", k=1)[0].entity_id == "p1"
        assert slip.verify().fresh == PEOPLE
    with world.open(run=False) as slip:
        assert slip.status().lag_events == 0


def test_dying_while_an_older_store_is_noted_leaves_it_to_the_next_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, "chroma")
    world.fill()
    shutil.rmtree(world.index.with_name("chroma"))

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(timeline, "seal", die)  # behind what the journal forgets, before the store is sealed anew
        with pytest.raises(Killed):
            world.open()
    with world.open() as slip:
        assert slip.sync.drain(timeout_s=60)
        assert len(world.embedder.embedded) == PEOPLE
        assert slip.verify().fresh == PEOPLE
