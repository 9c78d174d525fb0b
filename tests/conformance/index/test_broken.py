"""Deliberately broken indexes must fail the suite, each at least in the case that was written for its fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.testkit.broken.index import BROKEN_INDEXES, FaultyIndex
from slipstream.testkit.catching import failed_cases


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    folder = tmp_path_factory.mktemp("broken")
    return failed_cases(Path(__file__).with_name("broken_suites.py"), BROKEN_INDEXES, folder)


@pytest.mark.parametrize(("broken", "case"), BROKEN_INDEXES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_broken_index_fails_the_suite(failures: dict[str, set[str]], broken: type[FaultyIndex], case: str) -> None:
    assert case in failures[f"Test{broken.__name__}"]
