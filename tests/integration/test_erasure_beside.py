"""Erasures of what is large, and beside what else goes on: a hub, a running import, uploads and alerts that wait."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.events.import_state import ImportProgress
from slipstream.report.alerts import Measurements
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.erasure_world import ID, NEW, OLD, fill, is_known, opened, options, traces

HUB = 10_000
ROWS = 5_000
LONG_S = 120.0
OF_NEIGHBOURS = "zyxilda"
"""What one neighbour says of it in a text of its own."""


def _left(root: Path) -> list[list[str]]:
    return [trace for trace in traces(root) if OF_NEIGHBOURS not in trace[1].lower()]


def test_a_hub_of_ten_thousand_relationships_is_erased(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        for start in range(0, HUB, 1_000):
            with slip.pkg.transaction() as tx:
                for number in range(start, start + 1_000):
                    tx.create_entity("Place", f"place {number}", {"name": f"place {number}"})
                    source, target = (ID, f"place {number}") if number % 2 else (f"place {number}", ID)
                    tx.relate(source, "NEAR", target, {"how": "plunketine"})
        assert slip.sync.drain(timeout_s=LONG_S)
        before = slip.pkg.counts()
        done = slip.erase(ID)
        after = slip.pkg.counts()
        places = {place.place: place.removed for place in done.places}
        assert done.relationships == HUB + 9
        assert (before["NEAR"], after.get("NEAR", 0)) == (HUB, 0)
        assert (after["Place"], after["Person"]) == (HUB, before["Person"] - 1)
        assert places["change log"] >= 2 * HUB, "each of them was made and deleted"
        assert _left(tmp_path) == []
        assert slip.verify().is_consistent


def _dump(path: Path) -> Path:
    """Write a graph in which the entity comes first, and nothing behind it names it."""
    with path.open("w") as file:

        def node(number: int, identity: str, properties: dict[str, str]) -> None:
            told = {"type": "node", "id": str(number), "labels": ["Person"], "properties": {"id": identity}}
            told["properties"] |= properties  # type: ignore[operator]
            file.write(f"{json.dumps(told)}\n")

        node(0, ID, {"name": "Zyxilda", "bio": "fnordwort, in a text that is long enough to be quoted"})
        for number in range(1, ROWS):
            node(number, f"other {number}", {"name": f"other {number}"})
        for number in range(1, ROWS - 1, 4):
            ends = {side: {"id": str(number + add), "labels": ["Person"]} for side, add in (("start", 0), ("end", 1))}
            file.write(f"{json.dumps({'type': 'relationship', 'id': f'r{number}', 'label': 'KNOWS', **ends})}\n")
    return path


class _Importing:
    """An import in a thread of its own, which waits in its middle until it is told to go on."""

    def __init__(self, slip: Slipstream, path: Path) -> None:
        self.reached, self.goes_on = threading.Event(), threading.Event()
        self.imported: list[int] = []
        self._slip, self._path = slip, path
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        report = self._slip.import_files(self._path, on_progress=self._told)
        self.imported.append(report.entities)

    def _told(self, progress: ImportProgress) -> None:
        if progress.done_bytes > progress.total_bytes // 10:
            self.reached.set()
            assert self.goes_on.wait(LONG_S)


def test_an_erasure_beside_an_import_leaves_nothing_and_the_import_ends(tmp_path: Path) -> None:
    pkg = tmp_path / "pkg"
    path = _dump(tmp_path / "graph.jsonl")
    with opened(pkg) as slip:
        importing = _Importing(slip, path)
        assert importing.reached.wait(LONG_S)
        was_known = is_known(slip)
        importing.goes_on.set()
        assert was_known, "a test of nothing"
        done = slip.erase(ID)
        assert done.was_there
        importing.thread.join(LONG_S)
        assert importing.imported == [ROWS]
        assert slip.sync.drain(timeout_s=LONG_S)
        assert slip.pkg.feed.head() > (done.position or 0), "it went on behind the erasure"
        assert slip.pkg.counts()["Person"] == ROWS - 1
        assert not is_known(slip)
        assert traces(pkg) == []
        assert slip.verify().is_consistent
    assert traces(pkg) == []


class _Held(HashEmbedder):
    """The model of the next generation: the first batch that has the entity in it waits until it is told to go on."""

    def __init__(self) -> None:
        super().__init__(dimension=16, id=NEW)
        self.reached, self.goes_on = threading.Event(), threading.Event()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if any("Zyxilda" in text for text in texts):
            self.reached.set()
            assert self.goes_on.wait(LONG_S)
        return super().embed(texts)


@pytest.mark.parametrize("adapter", ["sqlite", "chroma"])
def test_an_erasure_beside_a_migration_leaves_nothing_in_either_generation(tmp_path: Path, adapter: str) -> None:
    model = _Held()
    with opened(tmp_path, adapter, options([HashEmbedder(dimension=16, id=OLD), model])) as slip:
        fill(slip)
        slip.migrations.start(slip.migrations.candidate(default=NEW))
        assert model.reached.wait(LONG_S)
        freed = threading.Timer(2.0, model.goes_on.set)  # a batch that is under way may be waited for
        freed.start()
        done = slip.erase(ID, with_neighbours_text=True)
        assert done.was_there
        freed.join()
        assert slip.migrations.wait(timeout_s=LONG_S)
        assert slip.sync.drain(timeout_s=LONG_S)
        assert traces(tmp_path) == []
        assert slip.migrations.cut_over().is_consistent
        assert not is_known(slip)
        assert slip.verify(deep=10_000).is_consistent
        slip.migrations.drop()
    assert traces(tmp_path) == []


def test_uploads_that_are_not_imported_yet_are_named_by_the_receipt(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        with slip.opened.uploads.begun("graph.jsonl") as (token, file):
            file.write(b"{}")
            named = [each for each in slip.erase(ID).unreachable if "is not imported yet" in each]
        assert len(named) == 1
        assert token in named[0]
        slip.opened.uploads.remove(token)
        assert not [each for each in slip.erase(ID).unreachable if "is not imported yet" in each]


def test_what_an_alert_says_of_it_goes_too(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        slip.watch.stop()
        alerts = slip.watch.alerts
        reading = Measurements(lag_s=0.0, dead_letters=0, engine=f"died: KeyError({ID!r})")
        alerts.evaluate(reading)
        assert ID in alerts.firing()["engine"].message
        done = slip.erase(ID)
        assert {place.place: place.removed for place in done.places}["messages of alerts"] == 1
        assert ID not in alerts.firing()["engine"].message
    with opened(tmp_path) as slip:
        held = slip.watch.alerts.firing().get("engine")
        assert held is None or ID not in held.message
