"""Owners that die while others work: an import goes on, and commands that meet by chance both end well."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import slipstream
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.app.composition import DATA_FOLDER
from slipstream.ports.lease import Lease
from tests.e2e.processes import LONG_S, Process, command, made, owned

PEOPLE = 4_000
ALONE = (
    ("status",),
    ("search", "Person 7"),
    ("query", "--sql", "SELECT count(*) AS n FROM entity"),
    ("verify",),
    ("repair", "--dry-run"),
    ("reembed", "--id", "p7"),
    ("views", "list"),
    ("views", "explain", "p7"),
    ("schema", "history"),
    ("quality", "run", "--sample", "5"),
    ("audits", "list"),
    ("dead-letters", "list"),
    ("migrate", "status"),
    ("scrub", "status"),
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return made(tmp_path / "pkg")


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "people.jsonl"
    rows = (
        {"type": "node", "id": str(n), "labels": ["Person"], "properties": {"id": f"p{n}", "name": f"Person {n}"}}
        for n in range(PEOPLE)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


Start = Callable[..., Process]


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    begun: list[Process] = []

    def started(*arguments: str) -> Process:
        begun.append(command(directory, *arguments, "--json"))
        return begun[-1]

    yield started
    for process in begun:
        process.close()


def _ended_well(process: Process) -> dict[str, object]:
    assert process.ended() == 0, process.said
    found: dict[str, object] = json.loads(process.output())
    return found


def _is_free(directory: Path) -> bool:
    store = SqliteStore(directory / DATA_FOLDER / "index.db", shared=True)
    try:
        return store.lease.acquire(0)
    finally:
        store.close()


def _wait_for_entities(directory: Path, count: int) -> None:
    """Wait until somebody else has written so many."""
    deadline = time.monotonic() + LONG_S
    path = directory / DATA_FOLDER / "graph.db"
    while time.monotonic() < deadline:
        if path.exists():
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as graph:
                if graph.execute("SELECT count(*) FROM entity").fetchone()[0] >= count:
                    return
        time.sleep(0.01)
    raise AssertionError("they were never written")


def _proved_whole(directory: Path, entities: int) -> None:
    with slipstream.open(directory) as pkg:
        assert pkg.sync.drain(LONG_S)
        report = pkg.verify(hurry=True)
        assert report.is_consistent, report.divergences
        assert report.total_embeddings == entities
        assert pkg.status().dead_letters == 0


def test_an_import_whose_owner_dies_takes_over_and_ends(directory: Path, dump: Path, start: Start) -> None:
    with owned(directory) as owner:
        importing = start("import", str(dump))
        _wait_for_entities(directory, 1)
        owner.kill()
        result = _ended_well(importing)
    assert (result["entities"], result["rejected"]) == (PEOPLE, 0)
    assert result["frontier"] == result["position"]
    assert _is_free(directory)
    _proved_whole(directory, PEOPLE)


def test_a_look_beside_an_import_ends_as_well_as_it_does(directory: Path, dump: Path, start: Start) -> None:
    """Each order in turn; a command that only reads has the lease for a moment, without an engine."""
    for number in range(4):
        commands = [("import", str(dump)), ("status",)]
        if number % 2:
            commands.reverse()
        begun = [start(*arguments) for arguments in commands]
        results = [_ended_well(process) for process in begun]
        imported = next(result for result in results if "rejected" in result)
        assert imported["frontier"] == imported["position"]
    assert _is_free(directory)
    _proved_whole(directory, PEOPLE)


def test_a_command_alone_takes_the_lease_and_leaves_it(directory: Path, dump: Path) -> None:
    from typer.testing import CliRunner

    from slipstream.cli.app import app

    runner = CliRunner()
    for arguments in (("import", str(dump)), *ALONE):
        result = runner.invoke(app, ["--dir", str(directory), *arguments, "--json"])
        assert result.exit_code == 0, (arguments, result.output, result.stderr)
        assert json.loads(result.stdout) is not None
        assert _is_free(directory), arguments


def test_many_commands_at_once_without_an_owner(directory: Path, dump: Path, start: Start) -> None:
    begun = [start("import", str(dump)) for _ in range(2)]
    begun += [start(*arguments) for arguments in (("status",), ("verify",), ("search", "7"))]
    for process in begun:
        _ended_well(process)
    assert _is_free(directory)
    _proved_whole(directory, PEOPLE)


def test_an_owner_that_ends_hands_over_amid_a_bulk(directory: Path, dump: Path, start: Start) -> None:
    with owned(directory) as owner:
        importing = start("import", str(dump))
        _wait_for_entities(directory, 1)
        owner.send(signal.SIGTERM)
        assert _ended_well(importing)["entities"] == PEOPLE
        assert owner.ended() == 0
    _proved_whole(directory, PEOPLE)


def test_who_only_looks_stands_in_for_a_moment_and_leaves(directory: Path) -> None:
    with owned(directory) as first, slipstream.open(directory, run=False) as looking:
        written = looking.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert looking.search("Ada", 1, mode="vector", after=written, timeout_s=LONG_S).hits[0].entity_id == "ada"
        first.send(signal.SIGTERM)
        assert first.ended() == 0
        for _ in range(2):
            assert looking.status().head == written, "nobody else answers: it does so itself"
            assert looking.verify().is_consistent
            with owned(directory) as again:  # which gets the lease as soon as nothing is asked any more
                changed = looking.pkg.update_entity("ada", {"motto": "poetical science"})
                assert looking.sync.wait(changed, LONG_S)
                again.send(signal.SIGTERM)
                assert again.ended() == 0
            written = changed


def test_an_owner_that_fails_before_it_has_opened_a_new_pkg_is_followed(directory: Path, start: Start) -> None:
    with unopened(directory) as lease:
        beside = [start("status"), start("verify")]
        with pytest.raises(subprocess.TimeoutExpired):
            beside[0].process.wait(3)
        lease.release()
        for process in beside:
            _ended_well(process)


@contextmanager
def unopened(directory: Path) -> Iterator[Lease]:
    """Hold the lease of a PKG that was never opened."""
    (directory / DATA_FOLDER).mkdir()
    store = SqliteStore(directory / DATA_FOLDER / "index.db", shared=True)
    try:
        assert store.lease.acquire(0)
        yield store.lease
    finally:
        store.close()
