"""Commands that ask: interrupted, answered by the next owner, and alone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import Process, command, made, owned

HANGING = """
import sys, time
import slipstream
from slipstream.app.remote.failures import CancelledCallError
with slipstream.open(sys.argv[1]) as pkg:
    verify = pkg.verify

    def hangs(on_progress=None, **options):
        print("began", file=sys.stderr, flush=True)
        del pkg.verify  # the next one does what it should
        try:
            while True:
                on_progress(7)
                time.sleep(0.01)
        except CancelledCallError:
            print("cancelled", file=sys.stderr, flush=True)
            raise

    pkg.verify = hangs
    print("running", file=sys.stderr, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return made(tmp_path / "pkg")


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "people.jsonl"
    rows = (
        {"type": "node", "id": str(n), "labels": ["Person"], "properties": {"id": f"p{n}", "name": f"Person {n}"}}
        for n in range(3_000)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _hanging(directory: Path) -> Process:
    process = Process("-c", HANGING, str(directory))
    process.wait_for("running")
    return process


def _json(directory: Path, *arguments: str, code: int = 0) -> dict[str, object]:
    process = command(directory, *arguments, "--json")
    try:
        assert process.ended() == code, process.said
        found: dict[str, object] = json.loads(process.output())
        return found
    finally:
        process.close()


def test_ctrl_c_ends_what_was_asked_for_and_the_owner_goes_on(directory: Path) -> None:
    owner = _hanging(directory)
    asking = command(directory, "verify", "--no-sync")
    try:
        owner.wait_for("began")
        asking.send(signal.SIGINT)
        assert asking.ended() == 130
        assert "interrupted" in "".join(asking.said)
        owner.wait_for("cancelled")
        assert _json(directory, "verify")["consistency"] is None  # it answers: there is nothing to compare
    finally:
        asking.close()
        owner.close()


def test_what_an_owner_died_with_is_done_by_the_next_one(directory: Path, dump: Path) -> None:
    assert _json(directory, "import", str(dump))["entities"] == 3_000
    owner = _hanging(directory)
    following = command(directory, "run")
    asking = command(directory, "verify", "--no-sync", "--json")
    try:
        following.wait_for("standing by")
        owner.wait_for("began")
        owner.kill()
        following.wait_for("running")
        assert asking.ended() == 0, asking.said
        assert json.loads(asking.output())["total_embeddings"] == 3_000
        following.send(signal.SIGTERM)
        assert following.ended() == 0
    finally:
        for process in (asking, following, owner):
            process.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_second_run_stands_by_and_takes_over(directory: Path, dump: Path, number: signal.Signals) -> None:
    with owned(directory) as first, standing_by(directory) as second:
        first.send(number)
        second.wait_for("running")
        assert _json(directory, "import", str(dump))["entities"] == 3_000
        assert _json(directory, "verify")["consistency"] == 1.0
        assert first.ended() == (0 if number is signal.SIGTERM else -9)
        second.send(signal.SIGINT)
        assert second.ended() == 0


@contextmanager
def standing_by(directory: Path) -> Iterator[Process]:
    process = command(directory, "run")
    try:
        process.wait_for("standing by")
        yield process
    finally:
        process.close()


LOOKING = """
import sys
import slipstream
with slipstream.open(sys.argv[1], run=False) as pkg:
    print("running nothing", file=sys.stderr, flush=True)
    sys.stdin.readline()
    pkg.sync.start()
    print("running now", file=sys.stderr, flush=True)
    sys.stdin.readline()
"""


def test_an_owner_without_an_engine_is_named_and_may_start_it(directory: Path, dump: Path) -> None:
    looking = Process("-c", LOOKING, str(directory))
    try:
        looking.wait_for("running nothing")
        imported = command(directory, "import", str(dump), "--json")
        assert imported.ended() == 2
        assert "does not run its engine" in json.loads(imported.output())["message"]
        imported.close()
        assert looking.process.stdin is not None
        looking.process.stdin.write("start\n")
        looking.process.stdin.flush()
        looking.wait_for("running now")
        assert _json(directory, "import", str(dump))["entities"] == 3_000
        assert _json(directory, "verify")["total_embeddings"] == 3_000
    finally:
        looking.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_who_stands_by_ends_when_told(directory: Path, number: signal.Signals) -> None:
    with owned(directory), standing_by(directory) as waiting:
        waiting.send(number)
        assert waiting.ended() == 0, waiting.said
        assert waiting.output() == "ended; nothing is lost\n"
        assert not any(line.startswith("running") for line in waiting.said)


def test_metrics_are_the_owners(directory: Path) -> None:
    with owned(directory):
        refused = _json(directory, "apply", os.devnull, "--metrics", "0", code=2)
        assert refused["error"] == "UnsupportedError"
        assert "the process that runs the engine" in str(refused["message"])
