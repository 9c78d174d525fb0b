"""The sync view of a real PKG: queried with SQL, kept in line beside a running engine, switched off and on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError
from slipstream.engine.settings import SyncSettings
from slipstream.ports.sync_view import EntitySync
from slipstream.testkit.embedders import HashEmbedder
from tests.until import until

JOINED = "SELECT id, state FROM entity JOIN sync_state ON entity_id = id WHERE type = 'Person' ORDER BY id"


def _open(root: Path, *, sync_states: bool = True, run: bool = True) -> Slipstream:
    options = Options(embedders=(HashEmbedder(dimension=16),), settings=SyncSettings(idle_wait_s=0.02))
    config = Config.model_validate({"graph": {"sync_states": sync_states}})
    return open_pkg(root, config=config, options=options, run=run)


def _people(slip: Slipstream, *ids: str) -> None:
    with slip.pkg.transaction() as tx:
        for entity_id in ids:
            tx.upsert_entity("Person", entity_id, {"name": f"name of {entity_id}"})
    assert slip.sync.drain(timeout_s=30)


def _raw(root: Path, statement: str) -> None:
    with closing(sqlite3.connect(root / ".slipstream" / "graph.db")) as connection, connection:
        connection.execute(statement)


def test_the_view_is_joined_with_the_graph_in_one_query(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada", "bob")
        assert slip.sync.write_back(timeout_s=30)
        head = slip.pkg.feed.head()
        assert slip.pkg.query_sql(JOINED) == [{"id": "ada", "state": "fresh"}, {"id": "bob", "state": "fresh"}]
        slip.pkg.delete_entity("bob")
        assert slip.sync.drain(timeout_s=30)
        assert slip.sync.write_back(timeout_s=30)
        assert slip.pkg.query_sql("SELECT entity_id AS id FROM sync_state") == [{"id": "ada"}]
        state = slip.sync_state("ada")
        assert state is not None
        assert (state.state, state.position) == (EntitySync.FRESH, head)
        assert slip.sync_state("bob") is None
        assert slip.verify().is_consistent
        assert slip.sync.write_back(timeout_s=30)
        verified = slip.sync_state("ada")
        assert verified is not None
        assert verified.last_verified is not None
        assert verified.embedded_at is not None
        assert verified.last_verified > verified.embedded_at
        assert slip.pkg.counts() == {"Person": 1}


def test_an_idle_engine_shows_the_states_without_being_asked(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada")
        head = slip.pkg.feed.head()
        until(lambda: slip.pkg.query_sql(JOINED) == [{"id": "ada", "state": "fresh"}])
        assert slip.pkg.feed.head() == head


def test_a_clean_close_leaves_a_complete_view_and_an_unchanged_graph(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada")
        head = slip.pkg.feed.head()
    with _open(tmp_path, run=False) as slip:
        assert slip.pkg.query_sql(JOINED) == [{"id": "ada", "state": "fresh"}]
        assert slip.pkg.feed.head() == head
        assert slip.sync.write_back(timeout_s=0.0)
    with _open(tmp_path) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.status().counters.get("unchanged", 0) == 0


def test_a_row_that_another_program_has_spoilt_is_put_right_by_an_audit(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada", "bob")
        head = slip.pkg.feed.head()
    _raw(tmp_path, "UPDATE sync_state SET state = 'divergent', position = 999 WHERE entity_id = 'ada'")
    with _open(tmp_path) as slip:
        assert slip.verify().is_consistent
        assert slip.sync.write_back(timeout_s=30)
        assert slip.pkg.query_sql(JOINED) == [{"id": "ada", "state": "fresh"}, {"id": "bob", "state": "fresh"}]
        assert slip.pkg.query_sql("SELECT max(position) AS newest FROM sync_state") == [{"newest": head}]


def test_a_view_that_another_program_has_emptied_is_whole_again_at_the_next_open(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada", "bob")
    _raw(tmp_path, "DELETE FROM sync_state")
    with _open(tmp_path) as slip:
        assert slip.sync.write_back(timeout_s=30)
        assert slip.pkg.query_sql(JOINED) == [{"id": "ada", "state": "fresh"}, {"id": "bob", "state": "fresh"}]


def test_switched_off_it_is_empty_and_switched_on_it_is_whole_again(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada")
    with _open(tmp_path, sync_states=False) as slip:
        _people(slip, "bob")
        assert slip.pkg.query_sql("SELECT * FROM sync_state") == []
        with pytest.raises(ConfigError, match="sync_states"):
            slip.sync_state("ada")
        assert slip.verify().is_consistent
    with _open(tmp_path) as slip:
        assert slip.sync.write_back(timeout_s=30)
        assert [row["id"] for row in slip.pkg.query_sql(JOINED)] == ["ada", "bob"]


def test_a_type_of_the_users_own_by_that_name_is_left_in_peace(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada")
        slip.pkg.create_entity("SyncState", "mine", {"name": "My own"})
        slip.pkg.create_entity("sync_state", "other", {"name": "Another"})
        assert slip.sync.drain(timeout_s=30)
        assert slip.pkg.counts() == {"Person": 1, "SyncState": 1, "sync_state": 1}
        assert slip.verify().is_consistent
        assert slip.sync.write_back(timeout_s=30)
        assert slip.pkg.query_sql("SELECT entity_id AS id, entity_type AS type FROM sync_state") == [
            {"id": "ada", "type": "Person"},
            {"id": "mine", "type": "SyncState"},
            {"id": "other", "type": "sync_state"},
        ]


def test_an_audit_inside_a_transaction_is_still_an_audit(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada")
        assert slip.sync.write_back(timeout_s=30)
        with slip.pkg.transaction():
            assert slip.verify().is_consistent
        assert slip.sync.write_back(timeout_s=30)
        verified = slip.sync_state("ada")
        assert verified is not None
        assert verified.last_verified is not None
