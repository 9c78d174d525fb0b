"""What changed while nobody was looking is found at the next open: graph, views, models."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import slipstream
from slipstream.app.composition import OnOtherRecipe, Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Direction
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.domain.positions import Position
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View
from tests.until import until

CHANGED = "UPDATE entity SET properties = json_set(properties, '$.name', ?) WHERE id = 'p1'"
ADDED = "INSERT INTO entity(id, type, properties) VALUES ('outsider', 'Person', ?)"


def _open(root: Path, embedder: HashEmbedder | None = None, views: tuple[View, ...] = ()) -> Slipstream:
    options = Options(embedders=(embedder or HashEmbedder(dimension=16),), views=views)
    return open_pkg(root, config=Config(), options=options)


def _people(slip: Slipstream) -> None:
    with slip.pkg.transaction() as tx:
        for number in range(30):
            tx.create_entity("Person", f"p{number}", {"name": f"name {number}", "motto": f"motto {number}"})
        tx.create_entity("Organization", "acme", {"name": "Acme"})
        tx.relate("p0", "WORKS_AT", "acme")
    assert slip.sync.drain(timeout_s=30)


def test_an_unchanged_graph_is_not_scanned_again(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip)
    with _open(tmp_path) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.status().counters.get("unchanged", 0) == 0


def _write_outside(root: Path) -> None:
    """Change, remove and add an entity with a program that knows nothing of Slipstream."""
    with closing(sqlite3.connect(root / ".slipstream" / "graph.db")) as connection, connection:
        connection.execute(CHANGED, ("changed outside",))
        connection.execute("DELETE FROM entity WHERE id = 'p2'")
        connection.execute(ADDED, (json.dumps({"name": "made outside"}),))


def _assert_in_the_index(slip: Slipstream, embedder: HashEmbedder) -> None:
    assert slip.sync.drain(timeout_s=30)
    assert slip.verify().is_consistent
    assert slip.search("made outside", k=1)[0].entity_id == "outsider"
    # The query is the text of the new entity, and so comes out of the cache.
    assert sorted(embedder.embedded) == ["changed outside. motto: motto 1", "made outside"]
    assert slip.status().counters.get("unchanged", 0) == 0, "nothing else was looked at"


def test_what_another_program_writes_into_a_closed_graph_is_followed_at_the_next_open(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip)
    _write_outside(tmp_path)
    embedder = HashEmbedder(dimension=16)
    with _open(tmp_path, embedder) as slip:
        _assert_in_the_index(slip, embedder)


def test_what_another_program_writes_beside_a_running_engine_is_followed_at_once(tmp_path: Path) -> None:
    embedder = HashEmbedder(dimension=16)
    with _open(tmp_path, embedder) as slip:
        _people(slip)
        embedder.embedded.clear()
        head = slip.pkg.feed.head()
        _write_outside(tmp_path)
        assert slip.sync.wait(Position(head + 3), timeout_s=60)
        _assert_in_the_index(slip, embedder)


def test_what_was_written_while_a_trigger_was_gone_is_found_by_fingerprints(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip)
    with closing(sqlite3.connect(tmp_path / ".slipstream" / "graph.db")) as connection, connection:
        connection.execute("DROP TRIGGER entity_updated")
        connection.execute(CHANGED, ("unlogged",))
    embedder = HashEmbedder(dimension=16)
    with _open(tmp_path, embedder) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert embedder.embedded == ["unlogged. motto: motto 1"]
        assert slip.status().counters["embedded"] == 1
        assert slip.verify().is_consistent


def test_an_edited_view_embeds_only_what_it_changes(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip)
    embedder = HashEmbedder(dimension=16)
    view = View(
        "Organization",
        "{{ name }} of {% for p in staff %}{{ p.name }}{% endfor %}",
        {"staff": Via("WORKS_AT", Direction.IN)},
    )
    with _open(tmp_path, embedder, (view,)) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.verify().is_consistent
        assert embedder.embedded == ["Acme of name 0"]


def test_another_model_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip)
    with pytest.raises(ConfigError, match=r"Person: hash version 1, 16-d -> other version 1, 32-d.*migrate start"):
        _open(tmp_path, HashEmbedder(dimension=32, id="other"))
    with _open(tmp_path) as slip:
        assert slip.verify().is_consistent


def test_another_model_that_replaces_the_old_one_is_never_mixed_with_it(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip)
    options = Options(embedders=(HashEmbedder(dimension=32, id="other"),), on_other_recipe=OnOtherRecipe.REPLACE)
    with open_pkg(tmp_path, config=Config(), options=options) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.verify().is_consistent
        assert {stamp.space.model_id for stamp in slip.store.index.scan(None, 1000)} == {"other"}
    with _open(tmp_path, HashEmbedder(dimension=32, id="other")) as slip:
        assert slip.search("person 7", k=1)[0].model_id == "other"


def test_a_lost_index_is_built_anew(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip)
    for path in (tmp_path / ".slipstream").glob("index.db*"):
        path.unlink()
    with _open(tmp_path) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.verify().total_embeddings == 31


def test_events_published_to_the_queue_are_handled_by_the_running_engine(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip)
        (event,) = slip.pkg.feed.read(Position(slip.pkg.feed.head() - 3), 1)
        assert isinstance(event, PKGEvent)
        slip.queue.publish("pkg_mutations", event)
        until(lambda: slip.queue.depth("pkg_mutations") == 0)


def test_hostile_input_is_refused_by_name_and_the_engine_goes_on(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        with pytest.raises(InvalidInputError, match="name"):
            slip.pkg.create_entity("Person", "x", {"name": float("nan")})
        with pytest.raises(InvalidInputError):
            slip.pkg.create_entity("", "x", {})
        with pytest.raises(InvalidInputError, match="cypher"):
            slip.pkg.query("MATCH (n) DETACH DELETE n")
        position = slip.pkg.create_entity("Person", "ok", {"name": "fine"})
        assert slip.sync.wait(position, timeout_s=60)


def test_a_wrong_view_is_refused_at_open(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"views\.Person\.template"):
        slipstream.open(
            tmp_path, config=Config.model_validate({"views": {"Person": {"template": "{% include 'x' %}"}}})
        )
