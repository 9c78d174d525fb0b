"""The mirror stands where the file stands, whoever wrote it and however."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.cypher.kglite import KgliteCypher, following
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.positions import Position
from tests.depth import examples
from tests.integration.cypher_graphs import graph_file, make_graph, put, relate, tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "graph.db"


@pytest.fixture
def graph(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(make_graph(path)) as connection:
        yield connection


@pytest.fixture
def cypher(path: Path, graph: sqlite3.Connection) -> Iterator[KgliteCypher]:
    cypher = KgliteCypher(path)
    yield cypher
    cypher.close()


def shown(cypher: KgliteCypher) -> tuple[dict[str, Any], dict[str, Any]]:
    entities = [row["n"] for row in cypher.query("MATCH (n) RETURN n", {})]
    relationships = [row["r"] for row in cypher.query("MATCH ()-[r]->() RETURN r", {})]
    by_id = {entity["id"]: entity for entity in entities}, {found["id"]: found for found in relationships}
    assert [len(found) for found in by_id] == [len(entities), len(relationships)]  # none of them twice
    return by_id


def assert_same(cypher: KgliteCypher, graph: sqlite3.Connection) -> None:
    assert shown(cypher) == tables(graph)


def test_what_was_committed_before_the_call_is_seen(cypher: KgliteCypher, graph: sqlite3.Connection) -> None:
    for number in range(50):
        put(graph, "P", "a", number=number)
        assert cypher.query("MATCH (n:P {id: 'a'}) RETURN n.number AS number", {}) == [{"number": number}]


def test_what_was_not_committed_is_not_seen(cypher: KgliteCypher, graph: sqlite3.Connection) -> None:
    put(graph, "P", "a")
    graph.execute("BEGIN")
    put(graph, "P", "b")
    assert cypher.query("MATCH (n) RETURN n.id AS id", {}) == [{"id": "a"}]
    graph.execute("ROLLBACK")
    assert cypher.query("MATCH (n) RETURN n.id AS id", {}) == [{"id": "a"}]


STEPS = [
    "INSERT INTO entity(id, type, properties) VALUES ('d', 'Q', '{\"x\": 1}')",
    "UPDATE entity SET properties = '{\"y\": [2]}' WHERE id = 'a'",
    "UPDATE entity SET type = 'Q' WHERE id = 'a'",  # with its relationships, of both directions and to itself
    "UPDATE entity SET id = 'z' WHERE id = 'a'",
    "REPLACE INTO entity(id, type) VALUES ('b', 'Other')",
    "DELETE FROM entity WHERE id = 'a'",
    "DELETE FROM entity",
    "UPDATE relationship SET properties = '{\"w\": 9}'",
    "UPDATE relationship SET type = 'S' WHERE source = 'a'",
    "UPDATE relationship SET target = 'c' WHERE target = 'b' AND key = ''",
    "UPDATE relationship SET key = 'k' WHERE key = '2'",
    "DELETE FROM relationship WHERE key = '2'",
    "DELETE FROM relationship",
    "INSERT INTO relationship(source, type, target) VALUES ('c', 'R', 'a'), ('c', 'R', 'c')",
    "UPDATE OR REPLACE entity SET id = 'b' WHERE id = 'a'",
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("recursive", [0, 1])
def test_every_statement_of_another_program_is_followed(
    cypher: KgliteCypher, graph: sqlite3.Connection, step: str, recursive: int
) -> None:
    for identity in "abc":
        put(graph, "P", identity, name=identity, type="own")
    relate(graph, "a", "R", "b", w=1)
    relate(graph, "a", "R", "b", "2", w=2)
    relate(graph, "b", "R", "a")
    relate(graph, "a", "SELF", "a")
    assert_same(cypher, graph)
    graph.execute(f"PRAGMA recursive_triggers = {recursive}")
    graph.execute(step)
    assert_same(cypher, graph)


def test_many_changes_at_once(cypher: KgliteCypher, graph: sqlite3.Connection) -> None:
    for number in range(300):
        put(graph, f"T{number % 7}", f"e{number}", n=number)
    for number in range(299):
        relate(graph, f"e{number}", f"R{number % 3}", f"e{number + 1}", n=number)
    assert_same(cypher, graph)
    graph.execute("UPDATE relationship SET properties = json_set(properties, '$.n', 0) WHERE type = 'R1'")
    graph.execute("UPDATE entity SET type = 'T0' WHERE type = 'T1'")
    graph.execute("DELETE FROM entity WHERE json_extract(properties, '$.n') % 5 = 0")
    assert_same(cypher, graph)


def test_a_trimmed_log_fills_the_mirror_anew(cypher: KgliteCypher, graph: sqlite3.Connection) -> None:
    put(graph, "P", "a", x=1)
    assert_same(cypher, graph)
    put(graph, "P", "b", x=2)
    put(graph, "P", "a", x=3)
    graph.execute("DELETE FROM change WHERE position < (SELECT max(position) FROM change)")
    assert_same(cypher, graph)


def test_a_log_that_still_reaches_back_is_followed(cypher: KgliteCypher, graph: sqlite3.Connection) -> None:
    put(graph, "P", "a", x=1)
    assert_same(cypher, graph)
    put(graph, "P", "a", x=2)
    graph.execute("DELETE FROM change WHERE position = 1")
    graph.execute("DROP TRIGGER entity_inserted")
    put(graph, "P", "unlogged")  # only filling anew would show it
    assert set(shown(cypher)[0]) == {"a"}


def test_a_rescan_fills_the_mirror_anew(cypher: KgliteCypher, graph: sqlite3.Connection) -> None:
    put(graph, "P", "a")
    assert_same(cypher, graph)
    graph.execute("DROP TRIGGER entity_inserted")
    put(graph, "P", "unlogged")
    graph.execute("INSERT INTO change(kind) VALUES ('*')")
    assert_same(cypher, graph)


def test_a_schema_row_changes_nothing(cypher: KgliteCypher, graph: sqlite3.Connection) -> None:
    put(graph, "P", "a")
    graph.execute("INSERT INTO change(kind) VALUES ('s')")
    assert_same(cypher, graph)


def test_a_graph_in_the_place_of_another_is_noticed(
    cypher: KgliteCypher, graph: sqlite3.Connection, path: Path
) -> None:
    put(graph, "P", "a")
    assert_same(cypher, graph)
    with closing(make_graph(path.with_name("other.db"))) as other:
        put(other, "P", "b")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
    path.with_name("other.db").replace(path)
    assert set(shown(cypher)[0]) == {"b"}


def test_a_graph_of_another_history_is_noticed(cypher: KgliteCypher, graph: sqlite3.Connection, path: Path) -> None:
    put(graph, "P", "a", x=1)
    backup = sqlite3.connect(path.with_name("backup.db"))
    graph.backup(backup)
    put(graph, "P", "b")
    assert_same(cypher, graph)
    with closing(backup), backup:
        put(backup, "P", "c")  # the same position, another row
    backup.close()
    path.with_name("backup.db").replace(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
    assert set(shown(cypher)[0]) == {"a", "c"}


def test_a_position_that_was_jumped_to(path: Path, cypher: KgliteCypher, graph: sqlite3.Connection) -> None:
    put(graph, "P", "a")
    assert_same(cypher, graph)
    with closing(SqliteGraph(path, clock=SystemClock())) as ours:
        ours.advance(Position(1000))
        ours.create_entity("P", "b")
    assert_same(cypher, graph)


def test_it_is_asked_while_another_writes(cypher: KgliteCypher, path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
            number = 0
            while not stop.is_set():
                number += 1
                connection.execute("BEGIN IMMEDIATE")
                put(connection, "P", f"l{number}", number=number)
                put(connection, "P", f"r{number}", number=number)
                relate(connection, f"l{number}", "PAIR", f"r{number}")
                if number > 20:
                    connection.execute(
                        "DELETE FROM entity WHERE id IN (?, ?)", (f"l{number - 20}", f"r{number - 20}")
                    )
                connection.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(60):
            (row,) = cypher.query(
                "MATCH (n) OPTIONAL MATCH (n)-[r:PAIR]->() "
                "RETURN count(n) AS n, count(r) AS r, count(DISTINCT n.number) AS x",
                {},
            )
            assert row["n"] == 2 * row["r"] == 2 * row["x"]  # never half a commit
            assert row["x"] <= 20
    finally:
        stop.set()
        writer.join()


def test_a_file_that_is_not_there_or_not_ours(tmp_path: Path) -> None:
    missing = KgliteCypher(tmp_path / "none.db")
    with pytest.raises(UnavailableError, match="not there"):
        missing.query("RETURN 1", {})
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs:
        theirs.execute("CREATE TABLE t(x)")
    other = KgliteCypher(tmp_path / "theirs.db")
    with pytest.raises(ConfigError, match="no graph"):
        other.query("RETURN 1", {})
    for cypher in (missing, other):
        cypher.close()


FOREIGN: dict[str, Any] = {
    '{"big": 123456789012345678901234567890, "id": "other", "none": null}': {"big": 1.2345678901234568e29},
    '{"x": "\\ud800"}': {"x": "?"},
    '{"at": {"$datetime": "2024-01-02T03:04:05.000006+00:00"}}': {"at": datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)},
    '{"at": [{"$datetime": "2024-01-02T00:00:00+02:00"}, {"$datetime": "x"}, {"$$datetime": "x"}]}': {
        "at": [datetime(2024, 1, 1, 22, tzinfo=UTC), {"$datetime": "x"}, {"$datetime": "x"}]
    },
    '{"_x": 1, "a.b": 2, "slip__title": 3, "git_sha": 4, "updated_at": "5"}': {
        "_x": 1, "a.b": 2, "slip__title": 3, "git_sha": 4, "updated_at": "5",
    },
    '{"a": 1, "a": 2, "": 3}': {"a": 2, "": 3},
    '{"deep": ' + "[" * 70 + "]" * 70 + "}": None,
    '{"deeper": ' + "[" * 900 + "]" * 900 + "}": None,
}  # fmt: skip


@pytest.mark.parametrize("text", FOREIGN, ids=range(len(FOREIGN)))
def test_json_that_another_program_wrote(cypher: KgliteCypher, graph: sqlite3.Connection, text: str) -> None:
    put(graph, "P", "b")
    graph.execute("INSERT INTO entity(id, type, properties) VALUES ('a', 'P', ?)", (text,))
    (row,) = cypher.query("MATCH (n {id: 'a'}) RETURN n", {})
    if FOREIGN[text] is not None:
        assert row["n"] == {"_label": "P", "id": "a", **FOREIGN[text]}
    assert len(shown(cypher)[0]) == 2


NAMES = ["My Type", "Größe", "a.b", "x:y", "`tick`", "Node", "$x", "type", "'quote'", "%41", "a\\b"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_types_and_ids_of_every_kind(cypher: KgliteCypher, graph: sqlite3.Connection, name: str) -> None:
    put(graph, name, name)
    put(graph, "P", "other")
    relate(graph, name, name, "other", name, weight=1)
    assert_same(cypher, graph)
    put(graph, name, name, x=1)
    graph.execute("UPDATE relationship SET properties = '{}'")
    assert_same(cypher, graph)
    assert cypher.query("MATCH (n:$t)-[r]->() RETURN n.id AS n, type(r) AS r", {"t": name}) == [
        {"n": name, "r": name}
    ]


IDS = st.sampled_from("abcdef")
TYPES = st.sampled_from(["P", "Q"])
VALUES = st.recursive(
    st.one_of(st.integers(-5, 5), st.floats(-2, 2), st.text("ab'`$", max_size=3), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["k", "type"]), inner)),
    max_leaves=4,
)
PROPERTIES = st.dictionaries(st.sampled_from(["x", "name", "title", "type", "end", "key"]), VALUES, max_size=3)
CONFLICTS = st.sampled_from(["", "OR REPLACE", "OR IGNORE"])
MUTATIONS = st.one_of(
    st.tuples(
        st.just("INSERT {c} INTO entity(id, type, properties) VALUES (?, ?, ?)"), CONFLICTS, IDS, TYPES, PROPERTIES,
    ),
    st.tuples(
        st.just("UPDATE {c} entity SET properties = ?3, type = ?2 WHERE id = ?1"), CONFLICTS, IDS, TYPES, PROPERTIES,
    ),
    st.tuples(st.just("UPDATE {c} entity SET id = ?2 WHERE id = ?1"), CONFLICTS, IDS, IDS),
    st.tuples(st.just("DELETE FROM entity WHERE id = ?{c}"), st.just(""), IDS),
    st.tuples(
        st.just("INSERT {c} INTO relationship(source, type, target, key, properties) VALUES (?, ?, ?, ?, ?)"),
        CONFLICTS, IDS, TYPES, IDS, st.sampled_from(["", "2"]), PROPERTIES,
    ),
    st.tuples(
        st.just("UPDATE {c} relationship SET target = ?2, type = ?3 WHERE source = ?1"), CONFLICTS, IDS, IDS, TYPES,
    ),
    st.tuples(st.just("DELETE FROM relationship WHERE source = ?{c}"), st.just(""), IDS),
)  # fmt: skip


@settings(
    max_examples=examples(50, 1_000),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.lists(MUTATIONS, max_size=8), min_size=1, max_size=6), st.booleans())
def test_the_mirror_equals_the_tables(
    cypher: KgliteCypher, graph: sqlite3.Connection, batches: list[list[Any]], recursive: bool
) -> None:
    graph.execute("DELETE FROM entity")
    graph.execute(f"PRAGMA recursive_triggers = {int(recursive)}")
    for batch in batches:
        for template, conflict, *arguments in batch:
            values = [json.dumps(value) if isinstance(value, dict) else value for value in arguments]
            try:
                graph.execute(template.format(c=conflict), values)
            except sqlite3.IntegrityError:
                continue
        assert_same(cypher, graph)


def test_pages_of_the_log(monkeypatch: pytest.MonkeyPatch, path: Path, graph: sqlite3.Connection) -> None:
    """The follower itself, in this process, with pages of three rows."""
    from slipstream.adapters.cypher.kglite.following import Follower

    monkeypatch.setattr(following, "_PAGE", 3)
    file = graph_file(path)
    reports: list[int] = []
    follower = Follower(file, lambda: reports.append(1))
    for round_ in range(4):
        for number in range(20):
            put(graph, f"T{(number + round_) % 3}", f"e{number}", x=round_)
            relate(graph, f"e{number}", "R", "e0", str(round_))
        mirror = follower.catch_up().mirror
        entities, relationships = tables(graph)
        assert mirror.graph.shape == (len(entities), len(relationships))
        rows = mirror.run("MATCH (n) RETURN n.id AS id, labels(n)[0] AS label, n.x AS x")
        assert {row["id"]: (row["label"], row["x"]) for row in rows} == {
            identity: (found["_label"], found["x"]) for identity, found in entities.items()
        }
    assert reports
    file.close()
