"""One kill at one call of one scenario, and what is left checked."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipstream.adapters.graphs.sqlite import opening
from slipstream.adapters.graphs.sqlite.layout import LAYOUT, LAYOUT_VERSION
from slipstream.app.composition.opening import DATA_FOLDER
from tests.faults.graph.checking import Acknowledged, check, check_engine
from tests.faults.graph.scenarios import STEP
from tests.faults.preload import Fault, Kind, Nursery

NOTHING = Fault("\0")


@dataclass(frozen=True)
class Place:
    """A call in a scenario: its number, and what it does to which file."""

    scenario: str
    number: int
    call: str

    @property
    def name(self) -> str:
        """What is done to which file."""
        if self.call[-1] == " ":
            return f"{self.call}db"
        return self.call.replace(f"version-{LAYOUT_VERSION}.begun", "copy")


class Bench:
    """Runs scenarios on a PKG of their own each, which a fault leaves behind as it is."""

    def __init__(self, nursery: Nursery, directory: Path) -> None:
        self._nursery, self._directory = nursery, directory

    def fresh(self, scenario: str) -> Path:
        """Return a new PKG's directory; the one to be migrated holds something."""
        root = self._directory / "pkg"
        shutil.rmtree(root, ignore_errors=True)
        data = root / DATA_FOLDER
        data.mkdir(parents=True)
        if scenario == "migrate":
            ended = self._nursery.run("single", data, NOTHING)
            assert ended.signal is None, ended.error
        return root

    def places(self, scenario: str) -> list[Place]:
        """Return every call of a scenario that changes a file of the graph's."""
        data = self.fresh(scenario) / DATA_FOLDER
        calls = self._nursery.calls(scenario, data, Fault(str(data / "graph.db")))
        return [Place(scenario, number, call) for number, call in enumerate(calls, 1)]

    def kill_at(self, place: Place, kind: Kind, *, with_engine: bool) -> bool:
        """Kill a worker there, and check what it leaves; False when it ended before it came there."""
        root = self.fresh(place.scenario)
        data = root / DATA_FOLDER
        ended = self._nursery.run(place.scenario, data, Fault.at(data / "graph.db", place.number, kind))
        assert ended.signal in (signal.SIGKILL, None), ended.error
        assert ended.error == ""
        self._check(root, place.scenario, ended.said, with_engine=with_engine)
        return ended.signal is not None

    def kill_behind(self, scenario: str, acknowledgements: int, spin: int, *, with_engine: bool) -> int:
        """Kill a worker at no chosen call; returns how many commits were acknowledged."""
        root = self.fresh(scenario)
        ended = self._nursery.run(scenario, root / DATA_FOLDER, NOTHING, kill_behind=acknowledgements, spin=spin)
        assert ended.signal in (signal.SIGKILL, None), ended.error
        self._check(root, scenario, ended.said, with_engine=with_engine)
        return sum(line.startswith("ack") for line in ended.said)

    def _check(self, root: Path, scenario: str, said: list[str], *, with_engine: bool) -> None:
        acknowledged = Acknowledged()
        acknowledged.add(said)
        data = root / DATA_FOLDER
        with pytest.MonkeyPatch.context() as patch:
            if scenario == "migrate":
                check_copy(data)
                patch.setattr(opening, "LAYOUT", (*LAYOUT, STEP))
                patch.setattr(opening, "LAYOUT_VERSION", LAYOUT_VERSION + 1)
            check(data, acknowledged)
            if with_engine:
                check_engine(data, root)


def check_copy(data: Path) -> None:
    """Fail for a file that is half migrated, one that was migrated without a copy, or a copy that is not whole."""
    with closing(sqlite3.connect(data / "graph.db")) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name GLOB 'later*'").fetchone()
    assert (version, tables) in ((LAYOUT_VERSION, 0), (LAYOUT_VERSION + 1, len(STEP)))
    copy = data / f"graph.db.version-{LAYOUT_VERSION}"
    assert copy.exists() or version == LAYOUT_VERSION
    if copy.exists():
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (LAYOUT_VERSION,)
            assert connection.execute("SELECT count(*) FROM entity").fetchone()[0] > 0
