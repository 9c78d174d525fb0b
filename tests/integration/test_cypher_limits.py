"""A statement that takes too much is ended, and nothing else is; the mirror is saved beside the graph."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.cypher.kglite import KgliteCypher, adapter, saved, serving, worker
from slipstream.adapters.cypher.kglite.following import Follower
from slipstream.adapters.cypher.kglite.saved import load, save, saved_path
from slipstream.domain.errors import ConfigError, InvalidInputError, QueryLimitError, UnavailableError
from tests.integration.cypher_graphs import graph_file, make_graph, put, relate
from tests.until import until

LONG = "UNWIND range(1, 4000) AS a UNWIND range(1, 4000) AS b WITH a, b WHERE a + b < 0 RETURN count(*) AS n"
WIDE = "UNWIND range(1, 1000) AS a UNWIND range(1, 4000) AS b RETURN collect(toString(a) + toString(b)) AS n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "graph.db"


@pytest.fixture
def graph(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(make_graph(path)) as connection:
        for number in range(20):
            put(connection, "P", f"p{number}", n=number)
        yield connection


def count(cypher: KgliteCypher) -> int:
    (row,) = cypher.query("MATCH (n) RETURN count(n) AS n", {})
    return int(row["n"])


def pid(cypher: KgliteCypher) -> int:
    assert cypher._worker is not None
    return cypher._worker._process.pid


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize(
    ("limits", "statement", "said"),
    [
        ({"timeout_s": 0.2}, LONG, "took more than 0.2 s"),
        ({"memory_bytes": 500_000_000}, WIDE, "ended.*500 MB of memory"),
        ({"rows_max": 10}, "MATCH (n) RETURN n", "20 rows, at most 10"),
        ({"answer_bytes_max": 1000}, "MATCH (n) RETURN n.id, range(1, 500) AS x", "more than 1000 bytes"),
    ],
)  # fmt: skip
def test_the_statement_is_ended_and_the_next_one_works(
    path: Path, limits: dict[str, Any], statement: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(KgliteCypher(path, **limits)) as cypher:
        for _ in range(2):
            with pytest.raises(QueryLimitError, match=said):
                cypher.query(statement, {})
            with monkeypatch.context() as patient:
                patient.setattr(cypher, "_timeout_s", 60.0)
                assert count(cypher) == 20


@pytest.mark.usefixtures("graph")
def test_a_process_that_does_not_end_by_itself_is_killed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(KgliteCypher(path, timeout_s=30)) as cypher:
        count(cypher)
        before = pid(cypher)
        monkeypatch.setattr(worker, "_GRACE_S", -29.9)  # kglite itself would go on for 30 s
        with pytest.raises(QueryLimitError, match="took more than 30 s"):
            cypher.query(LONG.replace("4000", "6000"), {})
        monkeypatch.undo()
        assert not is_running(before)
        assert count(cypher) == 20


@pytest.mark.usefixtures("graph")
def test_as_many_rows_as_allowed_are_given(path: Path) -> None:
    with closing(KgliteCypher(path, rows_max=20)) as cypher:
        assert len(cypher.query("MATCH (n) RETURN n", {})) == 20


@pytest.mark.usefixtures("graph")
def test_a_statement_changes_at_most_so_many(path: Path) -> None:
    with closing(KgliteCypher(path, rows_max=10)) as cypher:
        with pytest.raises(QueryLimitError, match="more than 10"):
            cypher.plan("MATCH (n) SET n.x = 1", {})
        cypher.plan("MATCH (n) WITH n LIMIT 10 SET n.x = 1", {})


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_is_replaced(path: Path, number: int) -> None:
    with closing(KgliteCypher(path)) as cypher:
        assert count(cypher) == 20
        for _ in range(3):
            os.kill(pid(cypher), number)
            assert count(cypher) == 20


@pytest.mark.usefixtures("graph")
def test_a_process_killed_in_the_middle_of_a_statement(path: Path) -> None:
    with closing(KgliteCypher(path)) as cypher:
        count(cypher)
        killer = threading.Timer(0.3, os.kill, (pid(cypher), signal.SIGKILL))
        killer.start()
        with pytest.raises(QueryLimitError):
            cypher.query(LONG.replace("4000", "6000"), {})
        killer.join()
        assert count(cypher) == 20


def test_a_graph_that_does_not_fit_says_so(path: Path, graph: sqlite3.Connection) -> None:
    with pytest.raises(ConfigError, match="at least"):
        KgliteCypher(path, memory_bytes=499_999_999)
    cypher = KgliteCypher(path)
    cypher._memory_bytes = 130_000_000
    for number in range(5):
        put(graph, "P", f"p{number}", text="x" * 8_000_000)
    with closing(cypher), pytest.raises(QueryLimitError, match=r"did not fit.*130 MB of memory"):
        count(cypher)


@pytest.mark.usefixtures("graph")
def test_several_threads_ask_one_mirror(path: Path) -> None:
    answers: list[int] = []
    with closing(KgliteCypher(path)) as cypher:
        threads = [threading.Thread(target=lambda: answers.append(count(cypher))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [20] * 8


@pytest.mark.usefixtures("graph")
def test_a_closed_mirror_answers_nothing(path: Path) -> None:
    cypher = KgliteCypher(path)
    count(cypher)
    process = pid(cypher)
    for _ in range(2):
        cypher.close()
    assert not is_running(process)
    with pytest.raises(UnavailableError, match="closed"):
        count(cypher)


@pytest.mark.usefixtures("graph")
def test_closing_does_not_wait_for_a_statement(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_CLOSE_WAIT_S", 0.1)
    cypher = KgliteCypher(path)
    count(cypher)
    process = pid(cypher)
    closer = threading.Timer(0.1, cypher.close)
    closer.start()
    with pytest.raises(UnavailableError, match="closed"):
        cypher.query(LONG.replace("4000", "6000"), {})
    closer.join()
    assert not is_running(process)


@pytest.mark.usefixtures("graph")
def test_parameters_of_any_size_are_not_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "QUESTION_BYTES_MAX", 100_000)
    with closing(KgliteCypher(path)) as cypher:
        with pytest.raises(InvalidInputError, match="parameters"):
            cypher.query("RETURN size($x) AS n", {"x": "x" * 100_000})
        assert cypher.query("RETURN size($x) AS n", {"x": "x" * 90_000}) == [{"n": 90_000}]


@pytest.mark.usefixtures("graph")
def test_nothing_is_started_before_it_is_needed(path: Path) -> None:
    cypher = KgliteCypher(path)
    with pytest.raises(InvalidInputError):
        cypher.query("DROP x", {})
    assert cypher._worker is None
    cypher.close()


@pytest.mark.usefixtures("graph")
def test_without_the_extra_it_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "find_spec", lambda _: None)
    with closing(KgliteCypher(path)) as cypher, pytest.raises(ConfigError, match=r"slipstream-pkg\[cypher\]"):
        count(cypher)


@pytest.mark.usefixtures("graph")
def test_a_process_that_can_not_be_started_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(KgliteCypher(path)) as cypher:
        monkeypatch.setattr(sys, "executable", str(path.parent / "none"))
        with pytest.raises(UnavailableError, match="can not be started"):
            count(cypher)
        monkeypatch.undo()
        (path.parent / "kglite.py").write_text("raise ImportError('broken')")
        monkeypatch.syspath_prepend(str(path.parent))
        with pytest.raises(ConfigError, match="broken"):
            count(cypher)
        monkeypatch.undo()
        assert count(cypher) == 20


PARENT = """
import sys
from pathlib import Path
from slipstream.adapters.cypher.kglite import KgliteCypher
cypher = KgliteCypher(Path(sys.argv[1]))
cypher.query("RETURN 1", {})
print(cypher._worker._process.pid, flush=True)
cypher.query(sys.argv[2], {})
sys.stdin.read()
"""


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("statement", ["RETURN 1", LONG.replace("4000", "6000")])
def test_a_killed_parent_leaves_no_orphan(path: Path, statement: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(path), statement], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    process = int(parent.stdout.readline())
    assert is_running(process)
    parent.kill()
    parent.communicate()
    until(lambda: not is_running(process))


def test_importing_the_adapter_does_not_import_kglite() -> None:
    code = "import sys, slipstream, slipstream.adapters.cypher.kglite; sys.exit('kglite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------------- the saved mirror


def saved_by_a_process(path: Path) -> Path:
    """Have a process save the mirror when it is closed."""
    follower = Follower(graph_file(path), lambda: None)
    save(follower.catch_up(), saved_path(path))
    return saved_path(path)


def unlogged(graph: sqlite3.Connection) -> None:
    """Write something that only filling the mirror anew would show."""
    (sql,) = graph.execute("SELECT sql FROM sqlite_schema WHERE name = 'entity_inserted'").fetchone()
    graph.execute("DROP TRIGGER entity_inserted")
    put(graph, "P", "unlogged")
    graph.execute(sql)


def test_a_saved_mirror_is_used_and_followed(path: Path, graph: sqlite3.Connection) -> None:
    relate(graph, "p1", "R", "p2", n=1)
    file = saved_by_a_process(path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.glob("*.tmp")] == []
    unlogged(graph)
    put(graph, "P", "p1", n="newer")
    with closing(KgliteCypher(path)) as cypher:
        assert count(cypher) == 20
        statement = "MATCH ()-[r]->() RETURN r.n AS r, startNode(r) AS n"
        assert cypher.query(statement, {}) == [{"r": 1, "n": {"_label": "P", "id": "p1", "n": "newer"}}]


def test_one_that_the_log_does_not_reach_back_to_is_not(path: Path, graph: sqlite3.Connection) -> None:
    saved_by_a_process(path)
    unlogged(graph)
    for number in range(3):
        put(graph, "P", "p1", n=-number)
    graph.execute("DELETE FROM change WHERE position < (SELECT max(position) FROM change)")
    with closing(KgliteCypher(path)) as cypher:
        assert count(cypher) == 21


def test_one_of_another_graph_is_not(path: Path, graph: sqlite3.Connection, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(make_graph(other)) as connection:
        for number in range(20):
            put(connection, "Q", f"q{number}")
    saved_by_a_process(other).rename(saved_path(path))
    with closing(KgliteCypher(path)) as cypher:
        assert cypher.query("MATCH (n) RETURN DISTINCT labels(n) AS l", {}) == [{"l": ["P"]}]


@pytest.mark.usefixtures("graph")
def test_one_of_another_version_is_not(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved_by_a_process(path)
    assert load(file) is not None
    monkeypatch.setattr(saved, "_VERSION", 2)
    assert load(file) is None


@pytest.mark.usefixtures("graph")
def test_damaged_ones_are_not(path: Path) -> None:
    file = saved_by_a_process(path)
    whole = file.read_bytes()
    step = max(1, len(whole) // 40)
    damaged = [whole[:size] for size in range(0, len(whole), step)]
    damaged += [whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :] for at in range(0, len(whole), step)]
    for data in damaged:
        file.write_bytes(data)
        assert load(file) is None
    with closing(KgliteCypher(path)) as cypher:
        assert count(cypher) == 20
    file.unlink()
    assert load(file) is None
    file.mkdir()
    assert load(file) is None


def test_one_that_ends_the_process_is_left_out(path: Path, graph: sqlite3.Connection) -> None:
    """As if kglite ended the process over it: the next process does without."""
    fine = KgliteCypher(path)
    fine._running = _dying(fine)  # type: ignore[method-assign]
    with closing(fine) as cypher:
        assert count(cypher) == 20
        assert not cypher._may_load


def _dying(cypher: KgliteCypher) -> Any:
    running = cypher._running

    def start() -> Any:
        started = running()
        if cypher._may_load:
            started._process.kill()
            started._process.wait()
        return started

    return start


def test_it_is_saved_when_it_is_worth_it(path: Path, graph: sqlite3.Connection) -> None:
    with closing(KgliteCypher(path)) as cypher:
        count(cypher)
    assert not saved_path(path).exists()
    graph.execute("BEGIN")
    for number in range(serving._SAVED_FROM):
        put(graph, "P", f"q{number}")
    graph.execute("COMMIT")
    with closing(KgliteCypher(path)) as cypher:
        assert count(cypher) == serving._SAVED_FROM + 20
    assert load(saved_path(path)) is not None


def test_a_place_that_can_not_be_written_does_not_matter(path: Path, graph: sqlite3.Connection) -> None:
    standing = Follower(graph_file(path), lambda: None).catch_up()
    save(standing, path.parent / "none" / "graph.db.cypher")
    assert standing.unsaved == 0
