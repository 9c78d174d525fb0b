"""What must hold of a graph file after whatever fault ended the process that wrote it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.domain.events import PKGEvent
from slipstream.domain.positions import ORIGIN, Position
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from tests.faults.graph.scenarios import BATCH_SIZE
from tests.property.foreign_writers import Mirror, compare

_BATCH = re.compile(r"(b\d+-\d+)-\d+")


@dataclass
class Acknowledged:
    """What a worker was told that it is committed, and what it was about to commit when it ended."""

    there: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    position: int = 0
    tried: tuple[str, str] | None = None

    def add(self, lines: Iterable[str]) -> None:
        """Take in what a worker has said."""
        for line in lines:
            word, *rest, name, gone = line.split(" ")
            if word == "try":
                self.tried = name, gone
                continue
            (position,), self.tried = rest, None
            assert int(position) > self.position
            self.position = int(position)
            match = _BATCH.fullmatch(name)
            self.there |= {f"{match[1]}-{n}" for n in range(BATCH_SIZE)} if match else {name}
            if gone:
                self.gone.add(gone)
                self.there.discard(gone)


def check(directory: Path, acknowledged: Acknowledged) -> None:
    """Fail for anything lost, half there, damaged or not readable; then commit once more."""
    with closing(sqlite3.connect(directory / "graph.db")) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            assert acknowledged.position == 0  # killed before the file was made
        else:
            check_tables(connection, acknowledged)
    graph = SqliteGraph(directory / "graph.db", clock=ManualClock())
    try:
        check_feed(graph)
        check_next_commit(graph)
    finally:
        graph.close()


def check_tables(connection: sqlite3.Connection, acknowledged: Acknowledged) -> None:
    """Compare tables, log and schema with each other, and with what was acknowledged."""
    people = dict(connection.execute("SELECT id, properties FROM entity WHERE type = 'Person'").fetchall())
    if acknowledged.tried is not None:  # all of it is there, or nothing
        name, gone = acknowledged.tried
        assert name in people or gone in people or not gone
        if name in people and gone:
            acknowledged.there.discard(gone)
            acknowledged.gone.add(gone)
    assert acknowledged.there <= people.keys(), "an acknowledged commit was lost"
    assert acknowledged.gone.isdisjoint(people), "an acknowledged delete was lost"
    head = connection.execute("SELECT max(position) FROM change").fetchone()[0] or 0
    assert head >= acknowledged.position
    related = dict(connection.execute("SELECT source, properties FROM relationship WHERE target = 'hub'").fetchall())
    assert related.keys() == people.keys(), "a commit is half there: an entity without its relationship"
    for name, properties in people.items():
        assert json.loads(properties)["n"] == json.loads(related[name])["n"]
    batches = [match[1] for name in people if (match := _BATCH.fullmatch(name))]
    assert {batches.count(each) for each in set(batches)} <= {BATCH_SIZE}, "a commit is half there"
    check_log(connection)
    check_schema(connection, people.values())


def check_log(connection: sqlite3.Connection) -> None:
    """Fail unless the log is whole behind what was trimmed, and tells of exactly what the tables hold."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'trimmed'").fetchone()
    trimmed = 0 if row is None else int(row[0])
    (oldest,) = connection.execute("SELECT min(position) FROM change").fetchone()
    assert oldest is None or oldest == trimmed + 1
    if trimmed == 0:
        mirror = Mirror()
        mirror.catch_up(connection)
        compare(connection, mirror)


def check_schema(connection: sqlite3.Connection, people: Iterable[str]) -> None:
    """Fail for a property without the schema version that its own commit made, or a version without its log entry."""
    versions = connection.execute("SELECT version, position, added FROM schema_version ORDER BY version").fetchall()
    known = {name for _, _, added in versions for name in json.loads(added)["entity_types"].get("Person", {})}
    properties = {name for text in people for name in json.loads(text)}
    assert properties <= known, "a property without its schema version"
    assert [version for version, *_ in versions] == list(range(2, len(versions) + 2))
    logged = dict(connection.execute("SELECT position, new FROM change WHERE kind = 's'").fetchall())
    kept = {position: str(version) for version, position, _ in versions if position in logged}
    assert kept == logged


def check_feed(graph: SqliteGraph) -> None:
    """Read the feed to its end."""
    row = graph._database._writer.execute("SELECT value FROM meta WHERE name = 'trimmed'").fetchone()
    after = ORIGIN if row is None else Position(int(row[0]))
    while entries := graph.feed.read(after, 500):
        for entry in entries:
            assert isinstance(entry, PKGEvent)
            assert entry.position == after + 1
            after = Position(after + 1)
    assert after == graph.feed.head()


def check_next_commit(graph: SqliteGraph) -> None:
    """Commit once more, at the next position."""
    head = graph.feed.head()
    with graph.transaction() as tx:
        tx.upsert_entity("Hub", "hub", {"name": f"hub at {head}", "pair": head})
    assert tx.position in (head + 1, head + 2)  # the first of all brings its type


def check_engine(directory: Path, root: Path) -> None:
    """Open the PKG, let the index follow, and verify."""
    options = Options(embedders=(HashEmbedder(dimension=8),))
    slipstream = open_pkg(root, config=Config(), options=options)
    try:
        assert slipstream.sync.drain(60)
        result = slipstream.verify()
        assert result.consistency == 1
        assert result.total_entities > 0
        assert slipstream.list_dead_letters() == []
    finally:
        slipstream.close()
    assert (directory / "index.db").exists()
