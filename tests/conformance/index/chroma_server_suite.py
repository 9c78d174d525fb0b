"""The index suite over a real Chroma server. Run by `test_chroma_server.py`, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.ports.index import VectorIndex
from slipstream.testkit.suites.index import Reopen, VectorIndexSuite
from tests.conformance.index.chroma_support import make_database, running_server
from tests.conformance.index.test_chroma import ChromaHooks


@pytest.fixture(scope="module")
def chroma_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_server(tmp_path_factory.mktemp("chroma-server")) as port:
        yield port


class TestChromaServer(ChromaHooks, VectorIndexSuite):
    """Each test in a database of its own, on one server."""

    @pytest.fixture
    def indexes(self, chroma_port: int) -> Iterator[list[ChromaIndex]]:
        self.address, self.database = ("127.0.0.1", chroma_port), f"test-{uuid4().hex}"
        make_database(chroma_port, self.database)
        indexes = [ChromaIndex.server(*self.address, database=self.database)]
        yield indexes
        for index in indexes:
            index.close()

    @pytest.fixture
    def index(self, indexes: list[ChromaIndex]) -> VectorIndex:
        return indexes[0]

    @pytest.fixture
    def reopen(self, indexes: list[ChromaIndex]) -> Reopen | None:
        def open_again() -> VectorIndex:
            indexes[-1].close()
            indexes.append(ChromaIndex.server(*self.address, database=self.database))
            return indexes[-1]

        return open_again
