"""`watch`: what is committed is shown at once, and when searches find it; beside a server, and alone."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest

import slipstream
from tests import warm
from tests.e2e.everyday import Cli, made
from tests.until import until

LONG_S = 60.0


class Watch:
    """A running `watch`, read line by line."""

    def __init__(self, directory: Path, *words: str) -> None:
        call = [sys.executable, "-m", "slipstream", "--dir", str(directory), "watch", *words]
        self.process = warm.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._lines: Queue[str] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def line(self) -> str:
        """Return the next line."""
        return self._lines.get(timeout=LONG_S)

    def told(self) -> dict[str, Any]:
        """Return the next line, which is JSON."""
        found: dict[str, Any] = json.loads(self.line())
        return found

    def end(self) -> int:
        """Press Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(LONG_S)


@contextmanager
def watching(directory: Path, *words: str) -> Iterator[Watch]:
    """Have a `watch` run, and end it however the block ends."""
    found = Watch(directory, *words)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait(LONG_S)
        for pipe in (found.process.stdout, found.process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return made(tmp_path_factory.mktemp("watch") / "pkg")


def test_changes_are_shown_and_when_searches_find_them(cli: Cli) -> None:
    with slipstream.open(cli.directory) as slip, watching(cli.directory, "--json") as watch:
        begun = watch.told()
        assert (begun["kind"], begun["lag_events"]) == ("lag", 0)
        position = slip.pkg.update_entity("ada", {"motto": "x\x1b[31m"})
        change = watch.told()
        assert (change["position"], change["kind"], change["id"]) == (position, "entity_updated", "ada")
        assert change["changed"] == ["motto"]
        until(lambda: watch.told() == {"kind": "lag", "frontier": position, "head": position, "lag_events": 0})
        assert watch.end() == 0


def test_a_type_is_watched_alone_and_from_a_position(cli: Cli) -> None:
    with slipstream.open(cli.directory) as slip, watching(cli.directory, "--type", "KNOWS", "--after", "0") as watch:
        assert "in step" in watch.line()
        assert "relationship created: KNOWS:ada:grace" in watch.line()
        slip.pkg.update_entity("ada", {"motto": "y"})
        slip.pkg.relate("grace", "KNOWS", "ada", {"a": 1}, replace=True)
        until(lambda: "relationship created: KNOWS:grace:ada" in watch.line())
        assert watch.end() == 0


def test_it_watches_alone_and_hinders_nobody(cli: Cli) -> None:
    """No engine runs: what another program writes is shown, and the next process runs the engine at once."""
    with watching(cli.directory) as watch:
        assert "in step" in watch.line()
        with closing(sqlite3.connect(cli.directory / ".slipstream" / "graph.db", timeout=LONG_S)) as raw, raw:
            raw.execute("INSERT INTO entity(id, type) VALUES ('raw\x1b[2J', 'Person')")
        shown = watch.line()
        assert r"entity created: Person raw\x1b[2J" in shown
        assert watch.process.stderr is not None
        assert "no process runs the engine" in watch.process.stderr.readline()
        with slipstream.open(cli.directory) as slip:
            assert slip.runs_engine
            until(lambda: "in step" in watch.line())
        assert watch.end() == 0


def test_it_ends_when_nobody_reads(cli: Cli) -> None:
    with watching(cli.directory, "--json") as watch:
        assert watch.told()["kind"] == "lag"
    call = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "watch"]
    with warm.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()  # as `| head -1` does, though nothing changes
        assert process.wait(LONG_S) == 2
        assert process.stderr.read() == ""


@pytest.mark.parametrize(("words", "said"), [(["--after", "-1"], "after"), (["--after", "99999999"], "99999999")])
def test_a_place_that_the_log_has_not_is_refused(cli: Cli, words: list[str], said: str) -> None:
    assert said in cli.run("watch", *words, code=2)[1]
