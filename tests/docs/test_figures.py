"""Figures in README and docs are those of the newest recorded runs."""

from __future__ import annotations

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
