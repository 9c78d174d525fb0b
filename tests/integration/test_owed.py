"""What the engine is still to deal with is owed, never divergent; and nothing to compare is not all of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.app.composition import Options, open_pkg, prometheus_page
from slipstream.app.config import Config, IndexConfig, ScrubConfig
from slipstream.app.slipstream import Slipstream
from slipstream.audit import comparing
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import Deletion
from slipstream.engine.settings import SyncSettings
from slipstream.evolution.selector import ReembeddingSelector
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View

WAIT_S = 60.0
PEOPLE = 8


@dataclass
class Gate:
    """Holds models up."""

    gate: threading.Event = field(default_factory=threading.Event)
    waits: threading.Event = field(default_factory=threading.Event)


class Gated(HashEmbedder):
    """Embeds only while its gate is open; tells when it waits there."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(dimension=16)
        self._gate = gate

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if not self._gate.gate.is_set():
            self._gate.waits.set()
            assert self._gate.gate.wait(WAIT_S)
        return super().embed(texts)


@dataclass
class Place:
    """A PKG whose model can be held up."""

    root: Path
    adapter: str
    model: Gate = field(default_factory=Gate)

    def open(self, *views: View, **settings: object) -> Slipstream:
        index = IndexConfig.model_validate({"adapter": self.adapter})
        config = Config(index=index, scrub=ScrubConfig(enabled=False))
        options = Options(embedders=(Gated(self.model),), views=views, settings=SyncSettings(**settings))  # type: ignore[arg-type]
        return open_pkg(self.root, config=config, options=options)

    def hold(self) -> None:
        self.model.waits.clear()
        self.model.gate.clear()


@pytest.fixture(params=["sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path, request.param)
    place.model.gate.set()
    yield place
    place.model.gate.set()


on_each_index = pytest.mark.parametrize("place", ["sqlite", "chroma"], indirect=True)


def fill(slip: Slipstream) -> None:
    with slip.pkg.transaction() as tx:
        for number in range(PEOPLE):
            tx.create_entity("Person", f"p{number}", {"name": f"name {number}"})
    assert slip.sync.drain(WAIT_S)


def owed(slip: Slipstream) -> dict[str, int]:
    """Audit, and return what is owed; nothing has diverged, and nobody is alarmed."""
    report = slip.verify(hurry=True)
    assert {kind: keys for kind, keys in report.divergences.items() if keys} == {}
    assert not report.is_divergent
    assert "consistency" not in {reading.rule for reading in slip.watch.readings() if reading.is_breached}
    assert report.position_after == report.position
    return dict(report.owed_by_lane)


def done(slip: Slipstream, place: Place) -> None:
    place.model.gate.set()
    assert slip.sync.drain(WAIT_S)
    report = slip.verify(hurry=True)
    assert (report.is_consistent, report.owed, report.consistency) == (True, [], 1.0)


@on_each_index
def test_what_is_to_be_embedded_anew_is_owed(place: Place) -> None:
    with place.open() as slip:
        fill(slip)
        place.hold()
        slip.sync.engine.intake_stage.selections.add(
            ReembeddingSelector(entity_types=("Person",)), "a better model of names", force=True
        )
        assert place.model.waits.wait(WAIT_S)
        assert owed(slip) == {"migration": PEOPLE}
        done(slip, place)


def test_what_a_repair_has_marked_is_owed(place: Place) -> None:
    with place.open() as slip:
        fill(slip)
        slip.store.index.delete([Deletion(entity_key("p1"), slip.sync.engine.frontier)])
        assert slip.verify(hurry=True).divergences["missing"] == [entity_key("p1")]
        place.hold()
        slip.sync.engine.mark([entity_key("p1")], reason="missing", force=True)
        assert place.model.waits.wait(WAIT_S)
        assert owed(slip) == {"repair": 1}
        done(slip, place)


def test_a_commit_under_way_is_owed_when_patience_ends(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "PATIENCE_S", 0.05)
    with place.open() as slip:
        fill(slip)
        place.hold()
        slip.pkg.update_entity("p1", {"name": "another"})
        slip.pkg.delete_entity("p2")
        assert place.model.waits.wait(WAIT_S)
        assert owed(slip) == {"live": 2}
        done(slip, place)


def test_what_edited_views_ask_for_is_owed_until_it_has_been_compared(place: Place) -> None:
    with place.open(View(type="Person", template="{{ name }}")) as slip:
        fill(slip)
    place.hold()
    with place.open(View(type="Person", template="{{ name }}, a person")) as slip:
        assert place.model.waits.wait(WAIT_S)
        assert owed(slip) == {"backfill": PEOPLE}
        done(slip, place)


def test_what_does_not_fit_into_memory_is_owed_all_the_same(place: Place) -> None:
    with place.open(pending_max=4, log_page=4) as slip:
        fill(slip)
        place.hold()
        slip.sync.engine.intake_stage.selections.add(
            ReembeddingSelector(entity_types=("Person",)), "all of them", force=True
        )
        assert place.model.waits.wait(WAIT_S)
        assert owed(slip) == {"migration": PEOPLE}
        status = slip.sync.status()
        assert (status.pending, status.lanes["migration"]) == (PEOPLE, PEOPLE)
        done(slip, place)


def test_nothing_to_compare_is_not_everything(place: Place) -> None:
    with place.open() as slip:
        report = slip.verify(hurry=True)
        assert (report.consistency, report.verdict) == (None, "consistent")
        assert report.summary()["consistency"] is None
        page = prometheus_page(slip, slip.watch.metrics).render()
        assert b"\nslipstream_consistency_ratio " not in page
        assert slip.watch.measurements().consistency is None
        assert not any(reading.is_breached for reading in slip.watch.readings() if reading.rule == "consistency")


def test_where_all_there_is_is_owed_nobody_says_consistent(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "PATIENCE_S", 0.05)
    place.hold()
    with place.open() as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert place.model.waits.wait(WAIT_S)
        report = slip.verify(hurry=True)
        assert (report.owed, report.consistency, report.verdict) == ([entity_key("ada")], None, "undecided")
        done(slip, place)
