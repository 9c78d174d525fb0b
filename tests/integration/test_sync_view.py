"""The sync view of a real PKG: queried with Cypher, kept in line beside a running engine, switched off and on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ladybug
import pytest

from slipstream.bootstrap import Options, open_pkg
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.ports.sync_states import EntitySync
from slipstream.service.config import Config
from slipstream.service.slipstream import Slipstream
from slipstream.sync.settings import SyncSettings
from slipstream.testing.embedders import HashEmbedder

JOINED = "MATCH (p:Person), (s:SyncState {entity_id: p.id}) RETURN p.id AS id, s.state AS state ORDER BY id"


def _open(root: Path, *, sync_states: bool = True, run: bool = True) -> Slipstream:
    options = Options(embedders=(HashEmbedder(dimension=16),), settings=SyncSettings(idle_wait_s=0.02))
    config = Config.model_validate({"graph": {"sync_states": sync_states}})
    return open_pkg(root, config=config, options=options, run=run)


def _people(slip: Slipstream, *ids: str) -> None:
    with slip.pkg.transaction() as tx:
        for entity_id in ids:
            tx.upsert_entity("Person", entity_id, {"name": f"name of {entity_id}"})
    assert slip.sync.drain(timeout_s=30)


def _raw(root: Path, cypher: str) -> list[Any]:
    database = ladybug.Database(str(root / ".slipstream" / "graph.lbug"))
    connection = ladybug.Connection(database)
    try:
        return list(connection.execute(cypher).get_all())
    finally:
        connection.close()
        database.close()


def test_the_view_is_joined_with_the_graph_in_one_query(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada", "bob")
        assert slip.sync.write_back(timeout_s=30)
        head = slip.pkg.last_commit
        assert slip.pkg.query(JOINED) == [{"id": "ada", "state": "fresh"}, {"id": "bob", "state": "fresh"}]
        slip.pkg.delete_entity("bob")
        assert slip.sync.drain(timeout_s=30)
        assert slip.sync.write_back(timeout_s=30)
        assert slip.pkg.query("MATCH (s:SyncState) RETURN s.entity_id AS id") == [{"id": "ada"}]
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
        head = slip.pkg.last_commit
        for _ in range(500):
            if slip.pkg.query(JOINED) == [{"id": "ada", "state": "fresh"}]:
                break
            slip.sync.wait(head + 1, timeout_s=0.02)  # type: ignore[arg-type]
        else:
            raise AssertionError(f"the view never showed the state, but {slip.pkg.query(JOINED)}")
        assert slip.pkg.last_commit == head


def test_a_clean_close_leaves_a_complete_view_and_an_unchanged_graph(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada")
    with _open(tmp_path, run=False) as slip:
        assert slip.pkg.query(JOINED) == [{"id": "ada", "state": "fresh"}]
        assert not slip.pkg.changed_while_closed  # type: ignore[attr-defined]
        assert slip.sync.write_back(timeout_s=0.0)
    with _open(tmp_path) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.status().counters.get("unchanged", 0) == 0


def test_a_damaged_view_is_healed_at_the_next_open(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada", "bob")
    _raw(tmp_path, "MATCH (s:SyncState {entity_id: 'ada'}) SET s.state = 'divergent', s.position = 999")
    _raw(tmp_path, "MATCH (s:SyncState {entity_id: 'bob'}) DELETE s")
    with _open(tmp_path) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.sync.write_back(timeout_s=30)
        assert slip.pkg.query(JOINED) == [{"id": "ada", "state": "fresh"}, {"id": "bob", "state": "fresh"}]
        assert slip.verify().is_consistent


def test_a_database_from_before_gets_its_view(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada")
    _raw(tmp_path, "DROP TABLE SyncState")
    with _open(tmp_path) as slip:
        assert slip.sync.write_back(timeout_s=30)
        assert slip.pkg.query(JOINED) == [{"id": "ada", "state": "fresh"}]


def test_switched_off_it_is_empty_and_switched_on_it_is_whole_again(tmp_path: Path) -> None:
    with _open(tmp_path) as slip:
        _people(slip, "ada")
    with _open(tmp_path, sync_states=False) as slip:
        _people(slip, "bob")
        assert slip.pkg.query("MATCH (s:SyncState) RETURN s") == []
        with pytest.raises(ConfigError, match="sync_states"):
            slip.sync_state("ada")
        assert slip.verify().is_consistent
    with _open(tmp_path) as slip:
        assert slip.sync.write_back(timeout_s=30)
        assert [row["id"] for row in slip.pkg.query(JOINED)] == ["ada", "bob"]


def test_a_type_of_the_users_own_by_that_name_is_left_in_peace(tmp_path: Path) -> None:
    with _open(tmp_path, sync_states=False) as slip:
        _people(slip, "ada")
    _raw(tmp_path, "DROP TABLE SyncState")
    _raw(tmp_path, "CREATE NODE TABLE SyncState(id STRING PRIMARY KEY, name STRING)")
    _raw(tmp_path, "CREATE (:SyncState {id: 'mine', name: 'My own'})")
    with pytest.raises(ConfigError, match="sync_states = false"):
        _open(tmp_path)
    with _open(tmp_path, sync_states=False) as slip:
        slip.pkg.execute("MATCH (s:SyncState) SET s.name = 'Changed'")
        slip.pkg.create_entity("SyncState", "other", {"name": "Another"})
        assert slip.sync.drain(timeout_s=30)
        assert slip.pkg.counts() == {"Person": 1, "SyncState": 2}
        assert slip.verify().is_consistent


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
        with pytest.raises(InvalidInputError, match="sync view"):
            slip.pkg.create_entity("SyncState", "x")
