"""`status` and the watch while something is broken: what is known is told, and what is not is named."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slipstream.adapters.wrappers.faults import FaultyEmbedder
from slipstream.app.composition import Options, Wrapping, glimpse, open_pkg
from slipstream.app.config import parse_config
from slipstream.app.insights import status_as_dict
from slipstream.app.slipstream import Slipstream
from slipstream.cli.app import app
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.journal_names import CHECKPOINT, FRONTIER
from slipstream.ports.alerts import AlertEvent
from slipstream.testkit.embedders import HashEmbedder

CONFIG = """
[scrub]
enabled = false
[alerts]
for_s = 0
lag_s_max = 1e9
disk_free_mb_min = 0
"""


class Told:
    """A sink that remembers, and lets a test wait for a turn."""

    def __init__(self) -> None:
        self.events: list[AlertEvent] = []
        self.changed = threading.Condition()

    def notify(self, event: AlertEvent) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def wait_for(self, rule: str, state: str) -> AlertEvent:
        def found() -> AlertEvent | None:
            return next((event for event in self.events if (event.rule, event.state) == (rule, state)), None)

        with self.changed:
            assert self.changed.wait_for(found, 30), f"{rule} {state} was never told, but {self.events}"
            event = found()
        assert event is not None
        return event


@contextmanager
def opened(directory: Path, hook: Callable[[str], None] = lambda _: None, **more: Any) -> Iterator[Slipstream]:
    options = Options(
        embedders=(HashEmbedder(dimension=16),),
        wrapping=Wrapping(embedder=lambda inner: FaultyEmbedder(inner, hook)),
    )
    with open_pkg(directory, create=True, config=parse_config(CONFIG), options=options, **more) as slipstream:
        yield slipstream


def filled(directory: Path) -> Path:
    """Make a PKG with one entity that is in the index, and close it."""
    with opened(directory) as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert slip.sync.drain(30)
        slip.verify()
    return directory / ".slipstream"


def status(directory: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    result = CliRunner().invoke(app, ["--dir", str(directory), "status", "--json", *more])
    return result.exit_code, json.loads(result.stdout.splitlines()[0]), result.stderr


def test_a_glimpse_tells_what_the_open_pkg_tells(tmp_path: Path) -> None:
    with opened(tmp_path / "pkg") as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert slip.sync.drain(30)
        slip.verify()
        told, seen = status_as_dict(slip), glimpse(tmp_path / "pkg")
        journal = {name: int(slip.journal.get(name) or 0) for name in (CHECKPOINT, FRONTIER)}
    assert told["unknown"] == seen["unknown"] == {}
    for name in ("head", "entities", "relationships", "schema_version", "dead_letters", "lag_events"):
        assert seen[name] == told[name], name
    assert (seen["checkpoint"], seen["frontier"]) == (journal[CHECKPOINT], journal[FRONTIER])
    assert (seen["words_frontier"], seen["words_lag_events"], seen["words_scan"]) == (seen["head"], 0, None)
    assert seen["words_frontier"] == told["words"]["frontier"]
    assert seen["consistency"] == 1.0
    assert "runs it" in seen["engine"]
    assert glimpse(tmp_path / "pkg")["engine"] == "nobody runs it"


def test_where_nothing_is_there_is_no_glimpse(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no PKG"):
        glimpse(tmp_path)
    (tmp_path / ".slipstream").mkdir()
    assert {"graph.db", "index.db"} <= glimpse(tmp_path)["unknown"].keys()


def test_a_locked_journal_is_named_and_the_graph_is_told(tmp_path: Path) -> None:
    data = filled(tmp_path / "pkg")
    holder = sqlite3.connect(data / "index.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("CREATE TABLE held (x)")
    try:
        code, facts, said = status(tmp_path / "pkg", "--check")
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert code == 2
    assert (facts["entities"], facts["pending"], facts["engine"]) == (1, None, "nobody runs it")
    assert "locked" in facts["unknown"]["index.db"]
    assert "unknown: index.db:" in said
    assert glimpse(tmp_path / "pkg")["unknown"] == {}


def test_a_journal_that_somebody_else_writes_for_long_is_an_outage_that_resolves(tmp_path: Path) -> None:
    told = Told()
    with opened(tmp_path / "pkg") as slip:
        slip.watch.alerts._sinks["told"] = told
        holder = sqlite3.connect(tmp_path / "pkg" / ".slipstream" / "index.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        try:
            slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
            fired = told.wait_for("outage", "firing")
            facts = status_as_dict(slip)
            assert slip.watch.alerts.unkept is None  # the alerts have a place of their own
        finally:
            holder.execute("ROLLBACK")
            holder.close()
        assert told.wait_for("outage", "resolved").incident == fired.incident
    assert "locked" in fired.message
    assert (facts["unknown"], facts["firing"], facts["lag_events"] > 0) == ({}, ["outage"], True)


@pytest.mark.parametrize("where", ["head", "all"])
def test_a_damaged_index_is_named_and_the_graph_is_told(tmp_path: Path, where: str) -> None:
    data = filled(tmp_path / "pkg")
    path = data / "index.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"\x55" * (100 if where == "head" else size))
    code, facts, said = status(tmp_path / "pkg")
    assert code == 2
    assert (facts["entities"], facts["frontier"]) == (1, None)
    assert "damaged" in facts["unknown"]["index.db"]
    assert "CorruptionError" in said


def test_a_fact_that_can_not_be_read_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> Any:
        raise UnavailableError("the index is down")

    told = Told()
    with opened(tmp_path / "pkg") as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert slip.sync.drain(30)
        slip.watch.alerts._sinks["told"] = told
        monkeypatch.setattr(slip.audits, "audits", down)
        monkeypatch.setattr(slip.store.index, "scan", down)
        facts = status_as_dict(slip)
        told.wait_for("blind", "firing")
        assert "audits: UnavailableError" in told.events[0].message
        monkeypatch.undo()
        told.wait_for("blind", "resolved")
        assert status_as_dict(slip)["unknown"] == {}
    assert (facts["head"], facts["entities"], facts["embeddings"]) == (2, 1, None)
    assert facts["unknown"].keys() == {"index", "scrubber"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_of_the_engine_is_an_alert_and_in_the_status(tmp_path: Path) -> None:
    class Bug(BaseException):
        pass

    def die(name: str) -> None:
        if name == "embed.before":
            raise Bug("odd")

    told = Told()
    with opened(tmp_path / "pkg", die) as slip:
        slip.watch.alerts._sinks["told"] = told
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        fired = told.wait_for("engine", "firing")
        facts = status_as_dict(slip)
        slip.sync.stop()
    assert "pipeline: the pipeline died of Bug: odd" in fired.message
    assert "Bug: odd" in facts["dead"]
    assert facts["dead_parts"].keys() == {"pipeline"}
    assert "engine" in facts["firing"]
    with opened(tmp_path / "pkg") as slip:
        slip.watch.alerts._sinks["told"] = told
        resolved = told.wait_for("engine", "resolved")  # known over the restart
    assert resolved.incident == fired.incident


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_desk_is_an_alert(tmp_path: Path) -> None:
    told = Told()
    with opened(tmp_path / "pkg") as slip:
        slip.watch.alerts._sinks["told"] = told
        desk = slip._desk
        assert desk is not None
        thread = desk._thread  # type: ignore[attr-defined]
        desk.look = lambda: (_ for _ in ()).throw(SystemExit)  # type: ignore[attr-defined]
        thread.join(30)
        assert "desk: its thread has ended" in told.wait_for("engine", "firing").message
        assert slip.watch.dead_parts.keys() == {"desk"}
        assert status_as_dict(slip)["dead_parts"].keys() == {"desk"}


def test_the_watch_survives_whatever_a_look_raises(tmp_path: Path) -> None:
    class Bug(BaseException):
        pass

    looked, calls = threading.Event(), 0

    def odd() -> str | None:
        nonlocal calls
        calls += 1
        if calls > 2:
            looked.set()
        raise Bug

    with opened(tmp_path / "pkg") as slip:
        slip.watch.mind("odd", odd)
        assert looked.wait(30)
        assert not slip.watch.is_dead
        del slip.watch._parts["odd"]
        assert status_as_dict(slip)["watch"] == "working"
