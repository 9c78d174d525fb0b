"""The process that places faults, once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.graph.placing import Bench
from tests.faults.preload import Nursery, built


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(built(tmp_path_factory.mktemp("preload")))
    yield nursery
    nursery.close()


@pytest.fixture
def bench(nursery: Nursery, tmp_path: Path) -> Bench:
    return Bench(nursery, tmp_path)
