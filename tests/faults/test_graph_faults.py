"""The ladybug graph when something goes wrong: locks, foreign writers, interrupted commits, damaged files."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.graphs.ladybug import LadybugGraph
from slipstream.adapters.graphs.ladybug import scanning as scanning_module
from slipstream.adapters.graphs.ladybug.store import Session
from slipstream.domain.entities import EntityState
from slipstream.domain.errors import ConfigError, CorruptionError, InvalidInputError, UnavailableError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import ORIGIN
from slipstream.testing.clock import ManualClock
from tests.conformance.graph.ladybug_hooks import opened, run_raw


def create(graph: LadybugGraph, *ids: str, **given: Any) -> None:
    with graph.transaction() as tx:
        for entity_id in ids:
            tx.create_entity("Person", entity_id, given)


def test_a_second_opener_is_told_why(tmp_path: Path) -> None:
    graph = opened(tmp_path)
    with pytest.raises(UnavailableError, match="open already"):
        opened(tmp_path)
    script = (
        "from pathlib import Path; from slipstream.adapters.clock import SystemClock;"
        "from slipstream.adapters.graphs.ladybug import LadybugGraph;"
        f"LadybugGraph(Path({str(tmp_path / 'graph')!r}), clock=SystemClock(), buffer_pool_size_bytes=1 << 26)"
    )
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "UnavailableError" in other.stderr
    assert "open already" in other.stderr
    graph.close()
    opened(tmp_path).close()


def test_paths_that_can_not_be_a_graph_are_refused(tmp_path: Path) -> None:
    (tmp_path / "graph").write_text("not a database\n" * 1000)
    with pytest.raises(CorruptionError, match="no ladybug database"):
        opened(tmp_path)
    with pytest.raises(ConfigError, match="is a directory"):
        LadybugGraph(tmp_path, clock=ManualClock())
    with pytest.raises(ConfigError, match="does not exist"):
        opened(tmp_path / "nowhere")


def test_only_a_clean_close_vouches_for_the_file(tmp_path: Path) -> None:
    graph = opened(tmp_path)
    assert graph.changed_while_closed  # a new file: whatever an index holds has to be audited
    create(graph, "a")
    graph.close()
    graph = opened(tmp_path)
    assert not graph.changed_while_closed
    graph.close()
    run_raw(tmp_path / "graph", "CREATE (:Person {id: 'b'})")
    graph = opened(tmp_path)
    assert graph.changed_while_closed
    assert graph.counts() == {"Person": 2}
    graph.close()


def test_tables_that_somebody_else_declared_are_taken_in(tmp_path: Path) -> None:
    graph = opened(tmp_path)
    create(graph, "a", name="Ada")
    graph.close()
    path = tmp_path / "graph"
    run_raw(path, "CREATE NODE TABLE City(id STRING PRIMARY KEY, name STRING, size INT32, area STRUCT(x INT64))")
    run_raw(path, "CREATE NODE TABLE Numbered(id INT64 PRIMARY KEY)")
    run_raw(path, "CREATE REL TABLE LIVES_IN(FROM Person TO City, since INT64)")
    run_raw(path, "CREATE (:City {id: 'c', name: 'London', size: 7, area: {x: 1}})")
    lives = "MATCH (a:Person {id: 'a'}), (c:City {id: 'c'}) CREATE (a)-[:LIVES_IN {since: 1815}]->(c)"
    run_raw(path, lives)
    run_raw(path, lives)
    graph = opened(tmp_path)
    assert [key.id for key in scan_all(graph, 2)] == ["a", "c", "LIVES_IN:a:c", "LIVES_IN:a:c:2"]
    assert graph.schema().entity_types["City"] == {"name": "string", "size": "integer", "area": "map"}
    newest = list(graph.log.read(ORIGIN, 100))[-1]
    assert isinstance(newest, PKGEvent)
    assert newest.event_type is PKGEventType.SCHEMA_EVOLVED
    assert properties(graph, "c") == {"name": "London", "size": 7, "area": {"x": 1}}
    with graph.transaction() as tx:
        tx.update_entity("c", {"size": 2**40, "area": {"y": 2}, "mayor": "M"})
        tx.unrelate("LIVES_IN:a:c:2")
    assert properties(graph, "c") == {"name": "London", "size": 2**40, "area": {"y": 2}, "mayor": "M"}
    graph.close()


def test_an_interrupted_commit_is_settled_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit happened, its acknowledgement got lost: nothing of it is lost, nothing is numbered twice."""
    graph = opened(tmp_path)
    create(graph, "a")
    run = Session.run

    def lose_acknowledgement(session: Session, cypher: str, **params: Any) -> list[list[Any]]:
        rows = run(session, cypher, **params)
        if cypher == "COMMIT":
            raise UnavailableError("the acknowledgement got lost")
        return rows

    assert [item.key.id for item in graph.scan(None, 10)] == ["a"]
    monkeypatch.setattr(Session, "run", lose_acknowledgement)
    with pytest.raises(UnavailableError, match="got lost"):
        create(graph, "b")
    with pytest.raises(UnavailableError, match="got lost"):
        create(graph, "never", fresh=1)  # its schema version commits, its data is not even tried
    monkeypatch.undo()
    assert [item.key.id for item in graph.scan(None, 10)] == ["a", "b"]
    assert graph.schema().entity_types == {"Person": {"fresh": "integer"}}
    assert graph.log.head() == 4
    seen = graph.read([entity_key("b")], {})
    assert entity_key("b") in seen.states
    assert seen.position == 4
    create(graph, "c", fresh=2, fresher=3)
    entries = [entry for entry in graph.log.read(ORIGIN, 100) if isinstance(entry, PKGEvent)]
    assert [entry.position for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.entity_id for entry in entries] == ["schema", "a", "b", "schema", "schema", "c"]
    graph.close()


def test_a_failing_statement_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = opened(tmp_path)
    create(graph, "a")
    run = Session.run

    def fail_in_the_middle(session: Session, cypher: str, **params: Any) -> list[list[Any]]:
        return run(session, "MATCH (n:Nowhere) RETURN n" if "_Registry {_key: r.id" in cypher else cypher, **params)

    monkeypatch.setattr(Session, "run", fail_in_the_middle)
    with pytest.raises(UnavailableError, match="nothing of it was kept"):
        create(graph, *(f"b{n}" for n in range(10)), fresh=["list"])
    monkeypatch.undo()
    assert (graph.counts(), graph.scan(None, 10)[1:]) == ({"Person": 1}, [])
    create(graph, "b0", fresh=["list"], other=["x"])
    assert properties(graph, "b0") == {"fresh": ["list"], "other": ["x"]}
    graph.close()


def test_a_long_query_is_stopped(tmp_path: Path) -> None:
    graph = LadybugGraph(
        tmp_path / "graph", clock=ManualClock(), buffer_pool_size_bytes=64 << 20, query_timeout_s=0.1
    )
    endless = "UNWIND range(1, 1000000) AS x UNWIND range(1, 1000) AS y RETURN sum(x * y)"
    with pytest.raises(InvalidInputError, match="time limit"):
        graph.query(endless)
    create(graph, "a")
    graph.close()


def test_closing_from_another_thread_ends_the_readers(tmp_path: Path) -> None:
    graph = opened(tmp_path)
    create(graph, "a")
    ended = threading.Event()

    def look() -> None:
        try:
            while True:
                graph.read([entity_key("a")], {})
        except UnavailableError:
            ended.set()

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    graph.close()
    for reader in readers:
        reader.join(20)
    assert ended.is_set()
    with closing(opened(tmp_path)) as again:
        assert again.counts() == {"Person": 1}


def test_a_graph_can_not_be_closed_inside_its_transaction(tmp_path: Path) -> None:
    graph = opened(tmp_path)
    with graph.transaction() as tx:
        tx.create_entity("Person", "a")
        with pytest.raises(ConfigError, match="leave the block"):
            graph.close()
    assert graph.counts() == {"Person": 1}
    graph.close()


def test_a_scan_crosses_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning_module.load_window, "__defaults__", (3,))
    graph = opened(tmp_path)
    create(graph, *"abcdefgh")
    with graph.transaction() as tx:
        for other in "bcde":
            tx.relate("a", "K", other)
            tx.relate("a", "K W", other)
    whole = scan_all(graph, 100)
    assert [key.encode() for key in whole] == sorted(key.encode() for key in whole)
    assert len(whole) == 16
    for limit in (1, 2, 3, 5):
        assert scan_all(graph, limit) == whole
    graph.close()


def scan_all(graph: LadybugGraph, limit: int) -> list[RecordKey]:
    found: list[RecordKey] = []
    while page := graph.scan(found[-1] if found else None, limit):
        found += [item.key for item in page]
    return found


def properties(graph: LadybugGraph, entity_id: str) -> Any:
    found = graph.read([entity_key(entity_id)], {}).states[entity_key(entity_id)]
    assert isinstance(found, EntityState)
    return found.entity.properties


def test_readers_beside_checkpoints_never_find_the_file_damaged(tmp_path: Path) -> None:
    """The database itself lets them, now and then: readers have to pause."""
    graph = LadybugGraph(tmp_path / "graph.lbug", clock=ManualClock())
    with graph.transaction() as transaction:
        for number in range(2_000):
            transaction.create_entity("Person", f"p{number}", {"name": "x" * 50})
    ending, failures = threading.Event(), list[Exception]()

    def read() -> None:
        number = 0
        while not ending.is_set():
            number += 1
            try:
                graph.read([entity_key(f"p{(number * 37 + at) % 2_000}") for at in range(16)], {})
            except Exception as error:  # noqa: BLE001  (told below)
                failures.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    made = 0
    for number in range(150):
        graph.update_entity(f"p{number}", {"name": str(number)})
        with graph._exclusive() as session:
            made += graph._store.checkpoint(session)
    ending.set()
    for thread in threads:
        thread.join()
    graph.close()
    assert failures == []
    assert made > 100


def test_a_long_read_puts_a_checkpoint_off_and_no_more(tmp_path: Path) -> None:
    graph = LadybugGraph(tmp_path / "graph.lbug", clock=ManualClock())
    graph.create_entity("Person", "ada", {"name": "Ada"})
    entered, leaving = threading.Event(), threading.Event()

    def read_long() -> None:
        with graph._store.reading():
            entered.set()
            leaving.wait(30)

    thread = threading.Thread(target=read_long)
    thread.start()
    entered.wait(30)
    with graph._exclusive() as session:
        assert graph._store.checkpoint(session) is False
        graph.read([entity_key("ada")], {})  # nobody is kept out for it
    leaving.set()
    thread.join()
    with graph._exclusive() as session:
        assert graph._store.checkpoint(session) is True
    graph.close()
