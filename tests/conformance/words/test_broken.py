"""Deliberately broken word indexes must fail the suite, each in the case that was written for its fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite.words_memory import MemoryWords
from slipstream.testkit.broken.words import BROKEN_WORDS
from slipstream.testkit.catching import failed_cases


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    folder = tmp_path_factory.mktemp("broken")
    return failed_cases(Path(__file__).with_name("broken_suites.py"), BROKEN_WORDS, folder)


@pytest.mark.parametrize(("broken", "case"), BROKEN_WORDS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_word_index_fails_the_suite(
    failures: dict[str, set[str]], broken: type[MemoryWords], case: str
) -> None:
    assert case in failures[f"Test{broken.__name__}"]
