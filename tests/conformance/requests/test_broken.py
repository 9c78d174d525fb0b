"""Deliberately broken lists of requests must fail the suite, each in the case that was written for its fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.adapters.indexes.memory_requests import MemoryRequests
from slipstream.testkit.broken.requests import BROKEN_REQUESTS
from slipstream.testkit.catching import failed_cases


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    folder = tmp_path_factory.mktemp("broken")
    return failed_cases(Path(__file__).with_name("broken_suites.py"), BROKEN_REQUESTS, folder)


@pytest.mark.parametrize(
    ("broken", "case"), BROKEN_REQUESTS.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_broken_requests_fail_the_suite(
    failures: dict[str, set[str]], broken: type[MemoryRequests], case: str
) -> None:
    assert case in failures[f"Test{broken.__name__}"]
