"""Deliberately broken rerankers must fail the suite, each in the case that was written for its fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.testkit.catching import failed_cases
from tests.conformance.rerankers.models import BROKEN, ByHand


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    folder = tmp_path_factory.mktemp("broken")
    return failed_cases(Path(__file__).with_name("broken_suites.py"), BROKEN, folder)


@pytest.mark.parametrize(("broken", "case"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_broken_rerankers_fail_the_suite(failures: dict[str, set[str]], broken: type[ByHand], case: str) -> None:
    assert case in failures[f"Test{broken.__name__}"]
