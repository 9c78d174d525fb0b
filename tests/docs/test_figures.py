"""Figures in README and docs are those of the newest recorded runs."""

from __future__ import annotations

import json
import re

import pytest
from bench.figures import _BLOCK, PAGES, filled
from bench.result_files import FOLDER, REPOSITORY


@pytest.mark.parametrize("page", PAGES)
def test_figures_are_those_of_the_newest_runs(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert _BLOCK.search(text)
    assert filled(text, page) == text, "run: python -m bench.figures"


def test_every_recorded_run_is_quoted() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "docs").rglob("*.md"))
    assert [path.name for path in FOLDER.iterdir() if not re.search(re.escape(path.stem), pages)] == []


def test_the_runs_on_wordnet_are_quoted_as_they_are() -> None:
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    section = page[page.index("## Loading, opening and single commits") :]
    files = sorted(FOLDER.glob("2026-11-29-wordnet-20000-*.json"))
    both, alone = (
        {target["label"]: target for target in json.loads(file.read_text(encoding="utf-8"))["targets"]}
        for file in files
    )
    for label in ("nodes loaded", "relationships loaded"):
        assert f"{both[label]['old']:,.0f}/s | {both[label]['new']:,.0f}/s" in section
    for label in ("import until searchable", "verify, command line"):
        assert f"{both[label]['old']:.1f} s | {alone[label]['new']:.1f} s" in section
    commit = both["a single commit (update) p50"]
    assert f"{commit['old']:.2f} ms | {commit['new']:.2f} ms" in section
    assert f"{alone['a commit beside an import p95']['new']:.0f} ms" in section
