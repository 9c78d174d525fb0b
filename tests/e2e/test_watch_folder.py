"""The command `watch-folder` as a real process: killed, started again, ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream.app.composition import initialise
from slipstream.app.slipstream import Slipstream
from tests import warm
from tests.e2e.processes import LONG_S, STATIC
from tests.unit.importers.notes.vaults import write_vault


class Watching:
    """A process that watches a folder; `round` waits for what it tells next."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def round(self) -> dict[str, Any]:
        """Return what was done in the next round."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture
def pkg(tmp_path: Path) -> Path:
    """Return the directory of a PKG with the model that starts fastest."""
    initialise(tmp_path / "pkg")
    (tmp_path / "pkg" / "slipstream.toml").write_text(f'[models]\ndefault = "{STATIC}"\n')
    return tmp_path / "pkg"


@contextmanager
def watching(pkg: Path, folder: Path, *more: str) -> Iterator[Watching]:
    """Run the command meanwhile."""
    command = [sys.executable, "-m", "slipstream", "--dir", str(pkg), "watch-folder", str(folder), "--json", *more]
    with warm.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Watching(process)
        finally:
            process.kill()
            process.wait(LONG_S)


def _texts(slip: Slipstream) -> dict[str, object]:
    return {entity.id: entity.properties.get("text") for entity in slip.pkg.of_type("Note", None, 100).items}


def test_killed_and_started_again_it_catches_up_and_ends_when_asked(pkg: Path, tmp_path: Path) -> None:
    folder = write_vault(tmp_path / "V", {"a.md": "about steam [[b]]", "b.md": "about looms", "c.md": "about gears"})
    with watching(pkg, folder) as first:
        assert first.round()["written"] == 3
        (folder / "a.md").write_text("about engines [[b]]")
        while first.round()["written"] != 1:
            pass
        first.process.kill()
        first.process.wait(LONG_S)
    (folder / "b.md").unlink()
    (folder / "c.md").rename(folder / "moved.md")
    (folder / "d.md").write_bytes(b"\xff")
    with watching(pkg, folder) as second:
        told = second.round()
        assert (told["deleted"], list(told["refused"])) == (1, ["d.md"])
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(LONG_S) == 0
    with slipstream.open(pkg) as slip:
        assert _texts(slip) == {"V/a": "about engines b", "V/b": None, "V/c": "about gears"}
        slip.sync.drain()
        assert [hit.entity_id for hit in slip.search("gears", 1)] == ["V/c"]
        assert slip.verify().is_consistent


def test_a_source_that_was_imported_is_replaced_first_under_the_brake(pkg: Path, tmp_path: Path) -> None:
    folder = write_vault(tmp_path / "V", {f"{number}.md": f"note {number}" for number in range(120)})
    with slipstream.open(pkg, run=False) as slip:
        slip.import_files(folder, replace_source="notes")
    for number in range(110):
        (folder / f"{number}.md").unlink()
    with watching(pkg, folder, "--replace-source", "notes") as braked:
        plan = braked.round()["plan"]["id"]
        assert braked.process.wait(LONG_S) == 2
    with watching(pkg, folder, "--replace-source", "notes", "--confirm", plan) as confirmed:
        assert confirmed.round()["held_back"] == 0
        confirmed.process.send_signal(signal.SIGINT)
        assert confirmed.process.wait(LONG_S) == 0
    with slipstream.open(pkg, run=False) as slip:
        assert len(_texts(slip)) == 10
