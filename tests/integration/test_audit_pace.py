"""Audits in the engine's own process: polite while changes flow, whoever asks for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.audit.pacing import SMALL_PAGE
from slipstream.ports.scans import PAGE
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View


@dataclass(slots=True)
class NotingPace:
    """Counts what it is asked and told."""

    asked: int = 0
    rests: int = 0

    @property
    def page(self) -> int:
        self.asked += 1
        return SMALL_PAGE

    def rest(self) -> None:
        self.rests += 1


@pytest.mark.parametrize("incremental", [False, True])
def test_verify_goes_at_its_polite_pace_unless_it_is_told_to_hurry(tmp_path: Path, incremental: bool) -> None:
    options = Options(embedders=(HashEmbedder(dimension=16),))
    with open_pkg(tmp_path / "pkg", create=True, options=options) as opened:
        opened.scrubber.stop()
        opened.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert opened.sync.drain(timeout_s=30)
        pace = NotingPace()
        slip = Slipstream(replace(opened._parts, pace=lambda: pace))
        assert slip.verify(incremental=incremental).is_consistent
        assert pace.asked
        assert pace.rests
        before = replace(pace)
        assert slip.verify(incremental=incremental, hurry=True).is_consistent
        assert pace == before


def test_the_polite_pace_is_small_while_changes_flow_and_large_a_second_later(tmp_path: Path) -> None:
    clock = ManualClock()
    options = Options(embedders=(HashEmbedder(dimension=16),), clock=clock)
    with open_pkg(tmp_path / "pkg", create=True, options=options) as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert slip.sync.drain(timeout_s=30)  # a change has just flowed: the clock stands
        pace = slip._parts.pace()
        assert pace.page == SMALL_PAGE
        clock.advance(10)
        pace.rest()
        assert pace.page == PAGE


def test_a_generation_is_audited_at_the_polite_pace_too(tmp_path: Path) -> None:
    options = Options(embedders=(HashEmbedder(dimension=16),), clock=ManualClock())
    with open_pkg(tmp_path / "pkg", create=True, options=options) as slip:
        slip.scrubber.stop()
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        slip.migrations.start(slip.migrations.candidate(views=[View("Person", "person {{ name }}")]))
        assert slip.migrations.wait(timeout_s=60)
        assert slip.migrations._parts.pace().page == SMALL_PAGE
        assert slip.migrations.cut_over().is_consistent
