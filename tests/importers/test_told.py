"""A report tells what a source has that was not taken as it is there."""

from __future__ import annotations

from pathlib import Path

from tests.importers.cases.graphml import CASE
from tests.importers.world import brought, opened


def test_what_a_reader_tells_stands_in_the_report(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with opened(tmp_path / "pkg") as slip:
        report = brought(slip, CASE, CASE.write(source))
    assert report.notes == ["values of a graph itself are not kept (2 times, first line 59, line 60)"]
