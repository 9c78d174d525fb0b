"""The process that places faults, once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.placed.placing import Whole
from tests.faults.preload import Nursery, built


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    directory = tmp_path_factory.mktemp("placed")
    nursery = Nursery(built(directory), "tests.faults.placed.jobs")
    yield Whole(nursery, directory)
    nursery.close()
