"""The suite over rerankers that are broken; run by `test_broken.py`, where it must fail."""

from __future__ import annotations

import pytest

from slipstream.ports.rerankers import Reranker
from slipstream.testkit.suites.rerankers import RerankerSuite
from tests.conformance.rerankers.models import BROKEN


def _suite(broken: type[Reranker]) -> type[RerankerSuite]:
    class Suite(RerankerSuite):
        @pytest.fixture
        def reranker(self) -> Reranker:
            return broken()

    return Suite


for each in BROKEN:
    globals()[f"Test{each.__name__}"] = _suite(each)
