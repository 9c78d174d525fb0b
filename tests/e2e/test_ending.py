"""Told to end, every process does within seconds, whatever it waits for, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.composition import open_pkg
from slipstream.domain.errors import SlipstreamError
from slipstream.views.declaration import View
from tests.conformance.embedder.server import Answer, EmbeddingServer, serving
from tests.e2e.processes import LONG_S, Process, command, owner

END_S = 60.0
"""A generous limit: it takes 5 s at most, but for a machine that is busy with other things. A model hangs longer."""
COUNT = 12
SETTINGS = """
[models]
default = "served"
[models.openai.served]
base_url = "{url}/v1"
dimension = 64
timeout_s = 300
[alerts]
for_s = 3600
"""


class Model:
    """A model server that is well, fails each call, does not answer, or takes its time."""

    def __init__(self, server: EmbeddingServer) -> None:
        self.server = server
        self.asked, self.well = threading.Event(), threading.Event()
        self._over = threading.Event()

    def begin(self, state: str) -> None:
        """Be in a state from now on."""
        self.asked.clear()
        self.server.fault = {"failing": self._fail, "hung": self._hang, "slow": self._take_time, "well": None}[state]

    def _fail(self, _: dict[str, Any]) -> Answer:
        self.asked.set()
        return 500, {}, "out of order"

    def _hang(self, _: dict[str, Any]) -> Answer:
        self.asked.set()
        self._over.wait(LONG_S)
        return 503, {}, "never mind"

    def _take_time(self, _: dict[str, Any]) -> None:
        self.asked.set()
        self._over.wait(8.0)  # for each call

    def end(self) -> None:
        """Let everybody go."""
        self._over.set()


@pytest.fixture
def model() -> Iterator[Model]:
    with serving() as server:
        model = Model(server)
        try:
            yield model
        finally:
            model.end()


@pytest.fixture
def pkg(tmp_path: Path, model: Model) -> Path:
    """A graph that nothing was embedded of."""
    directory = tmp_path / "pkg"
    directory.mkdir()
    (directory / "slipstream.toml").write_text(SETTINGS.format(url=model.server.url))
    with open_pkg(directory, run=False) as slip, slip.pkg.transaction() as tx:
        for number in range(COUNT):
            tx.create_entity("Note", f"n{number}", {"name": f"note {number}"})
    return directory


def ended(process: Process) -> int:
    """Return the exit code; fails when it does not end in time."""
    try:
        return process.process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.close()
        raise


def assert_nothing_is_lost(directory: Path, model: Model) -> None:
    model.begin("well")
    with open_pkg(directory) as slip:
        assert slip.sync.drain(LONG_S)
        assert len(slip.search("note", k=100, mode="vector")) == COUNT
        assert slip.verify().is_consistent


@pytest.mark.parametrize(
    ("way", "state"),
    [
        ("Ctrl-C", "failing"),
        ("Ctrl-C", "hung"),
        ("Ctrl-C", "slow"),
        ("SIGTERM", "hung"),
        ("close()", "failing"),
        ("close()", "hung"),
    ],
)
def test_the_engine_ends(pkg: Path, model: Model, state: str, way: str) -> None:
    model.begin(state)
    process = owner(pkg, "python" if way == "close()" else "run")
    assert model.asked.wait(LONG_S)
    if way == "close()":
        assert process.process.stdin is not None
        process.process.stdin.write("\n")
        process.process.stdin.flush()
    else:
        process.send(signal.SIGINT if way == "Ctrl-C" else signal.SIGTERM)
    assert ended(process) == 0
    process.close()
    assert "Traceback" not in "".join(process.said)
    assert_nothing_is_lost(pkg, model)


@pytest.mark.parametrize(
    ("arguments", "state"),
    [
        (["search", "note", "--mode", "vector"], "failing"),
        (["search", "note", "--mode", "vector"], "hung"),
        (["verify"], "slow"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_command_says_what_it_waits_for_and_ends(
    pkg: Path, model: Model, arguments: Sequence[str], state: str
) -> None:
    model.begin(state)
    process = command(pkg, *arguments)
    line = process.wait_for("served")
    said = {"failing": "next try in", "hung": "has not answered for", "slow": "has not answered for"}[state]
    assert "waiting:" in line
    assert said in line
    assert "Ctrl-C ends" in line
    process.send(signal.SIGINT)
    assert ended(process) == 130
    said_last = process.wait_for("interrupted")
    assert "nothing is lost" in said_last
    process.close()
    assert "Traceback" not in "".join(process.said)
    assert_nothing_is_lost(pkg, model)


def begun(pkg: Path, model: Model, what: str) -> Process:
    """Have everything indexed, then start something long beside a model that hangs, and wait until it is at it."""
    with open_pkg(pkg) as slip:
        assert slip.sync.drain(LONG_S)
        if what == "migration":
            view = View("Note", template="A note: {name}")
            slip.migrations.pause() if slip.migrations.status().phase == "building" else None
            model.begin("hung")
            slip.migrations.start(slip.migrations.candidate(views=[view]))
    model.begin("hung")
    commands = {"audit": ["verify", "--deep", "all"], "migration": ["migrate", "wait"]}
    process = command(pkg, *commands[what])
    assert model.asked.wait(LONG_S)
    return process


@pytest.mark.parametrize("what", ["audit", "migration"])
def test_what_takes_long_ends(pkg: Path, model: Model, what: str) -> None:
    process = begun(pkg, model, what)
    process.send(signal.SIGINT)
    assert ended(process) == 130
    process.close()
    assert_nothing_is_lost(pkg, model)


def test_a_backup_ends_and_leaves_nothing_that_looks_like_one(pkg: Path, model: Model, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    process = command(pkg, "backup", str(backups), "--rate-mb-s", "0.01")
    for _ in range(int(LONG_S / 0.05)):
        if backups.is_dir() and any(backups.iterdir()):
            break
        threading.Event().wait(0.05)
    process.send(signal.SIGINT)
    assert ended(process) == 130
    process.close()
    assert [path.name for path in backups.iterdir() if not path.name.startswith(".")] == []
    assert_nothing_is_lost(pkg, model)


def test_closing_ends_a_search_that_waits(pkg: Path, model: Model) -> None:
    model.begin("hung")
    slip = open_pkg(pkg)
    raised: list[SlipstreamError] = []

    def search() -> None:
        try:
            slip.search("note", after=slip.pkg.feed.head(), timeout_s=LONG_S)
        except SlipstreamError as error:
            raised.append(error)

    searching = threading.Thread(target=search)
    searching.start()
    assert model.asked.wait(LONG_S)
    slip.close()
    searching.join(END_S)
    assert not searching.is_alive()
    assert len(raised) == 1
    assert_nothing_is_lost(pkg, model)


def test_ctrl_c_while_modules_load_has_its_exit_code_and_a_word(tmp_path: Path) -> None:
    sign = tmp_path / "loading"
    (tmp_path / "typer.py").write_text(f"import pathlib, time; pathlib.Path({str(sign)!r}).touch(); time.sleep(600)")
    process = subprocess.Popen(
        [sys.executable, "-m", "slipstream", "status"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(int(LONG_S / 0.05)):
        if sign.exists():
            break
        threading.Event().wait(0.05)
    process.send_signal(signal.SIGINT)
    try:
        output, said = process.communicate(timeout=END_S)
    finally:
        process.kill()
    assert process.returncode == 130
    assert (output, said.count("\n")) == ("", 1)
    assert "interrupted" in said
