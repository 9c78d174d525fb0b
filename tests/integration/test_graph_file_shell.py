"""The `sqlite3` shell writes the graph as any user would, and the feed tells of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from slipstream.domain.entities import EntityState
from slipstream.domain.keys import entity_key
from tests.integration.graph_files import made, opened, told

pytestmark = pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the Debian package sqlite3 is not installed")


def shell(path: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the shell."""
    command = ["sqlite3", "-bail", str(path / "graph.db")]
    return subprocess.run(command, input=script, capture_output=True, text=True, check=False)


def test_what_it_writes_is_told_while_the_graph_is_open(tmp_path: Path) -> None:
    graph = made(tmp_path)
    head = graph.feed.head()
    done = shell(
        tmp_path,
        """
        PRAGMA foreign_keys = ON;
        BEGIN;
        INSERT INTO entity(id, type, properties) VALUES ('eve', 'Person', json_object('name', 'Eve', 'age', 30));
        INSERT INTO relationship(source, type, target) VALUES ('eve', 'KNOWS', 'ada');
        UPDATE entity SET properties = json_set(properties, '$.age', 36) WHERE id = 'ada';
        DELETE FROM entity WHERE id = 'bob';
        COMMIT;
        BEGIN; DELETE FROM entity; ROLLBACK;
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert graph.feed.wait(head, 30)
    told(graph)
    assert told(graph)[head:] == [
        "entity_created eve",
        "relationship_created KNOWS:eve:ada",
        "entity_updated ada",
        "relationship_deleted KNOWS:ada:bob",
        "entity_deleted bob",
        "schema_evolved schema",
    ]
    state = graph.read([entity_key("ada")], {}).states[entity_key("ada")]
    assert isinstance(state, EntityState)
    assert state.entity.properties == {"name": "Ada", "age": 36}
    assert graph.schema().entity_types["Person"] == {"name": "string", "age": "integer"}
    graph.close()


def test_it_is_told_what_is_not_valid(tmp_path: Path) -> None:
    made(tmp_path).close()
    done = shell(tmp_path, "INSERT INTO entity(id, type, properties) VALUES ('eve', 'Person', '{name: Eve}');")
    assert done.returncode == 1
    assert "entity.properties: must be a JSON object" in done.stderr


def test_its_dump_and_its_backup_are_the_graph_again(tmp_path: Path) -> None:
    graph = made(tmp_path)
    expected = told(graph)
    graph.close()
    (tmp_path / "again").mkdir()
    dumped = shell(tmp_path, "PRAGMA application_id; PRAGMA user_version;\n.dump")
    application, version, script = dumped.stdout.split("\n", 2)
    script = f"PRAGMA application_id = {application}; PRAGMA user_version = {version};\n{script}"
    assert shell(tmp_path / "again", script).returncode == 0
    again = made_again(tmp_path / "again")
    assert again == (expected, ["ada", "bob"])
    (tmp_path / "backup").mkdir()
    assert shell(tmp_path, f".backup '{tmp_path / 'backup' / 'graph.db'}'").returncode == 0
    assert made_again(tmp_path / "backup") == again


def made_again(path: Path) -> tuple[list[str], list[str]]:
    """Open a graph, write to it, and return what it tells and holds from before."""
    graph = opened(path)
    head = graph.feed.head()
    entries, keys = told(graph), [item.key.id for item in graph.scan(None, 2)]
    with graph.transaction() as tx:
        tx.create_entity("Person", "eve", {"name": "Eve"})
    assert tx.position == head + 1
    graph.close()
    return entries, keys
