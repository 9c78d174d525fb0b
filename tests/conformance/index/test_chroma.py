"""Embedded Chroma against the suite: kept open, and opened anew after every write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.adapters.indexes.chroma.codec import collection_name, stored_fields
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, Vector
from slipstream.ports.index import VectorIndex
from slipstream.testkit.records import make_record
from slipstream.testkit.suites.index import RawRecord, Reopen, VectorIndexSuite
from slipstream.testkit.suites.index_support import IndexHooks
from tests.conformance.index.chroma_support import ReopenedIndex


class ChromaHooks(IndexHooks):
    """Raw hooks through Chroma's own client: an embedded directory admits no second one."""

    def read_raw(self, index: VectorIndex, key: RecordKey, space: Space) -> RawRecord | None:
        assert isinstance(index, ChromaIndex | ReopenedIndex)
        if collection_name(space) not in {collection.name for collection in index._client.list_collections()}:
            return None
        collection = index._client.get_collection(collection_name(space), embedding_function=None)
        found = collection.get(ids=[key.encode()], include=["metadatas", "embeddings"])
        if not found["ids"]:
            return None
        metadata = stored_fields(found["metadatas"][0])
        vector = np.asarray(found["embeddings"][0], dtype=np.float32)
        return RawRecord(metadata["position"], metadata["fingerprint"], vector)

    def write_raw(self, index: VectorIndex, key: RecordKey, space: Space, vector: Vector) -> None:
        assert isinstance(index, ChromaIndex | ReopenedIndex)
        collection = index._client.get_collection(collection_name(space), embedding_function=None)
        collection.update(ids=[key.encode()], embeddings=[vector])


class TestChromaEmbedded(ChromaHooks, VectorIndexSuite):
    @pytest.fixture
    def indexes(self, tmp_path: Path) -> Iterator[list[ChromaIndex]]:
        indexes = [ChromaIndex.embedded(tmp_path / "chroma")]
        yield indexes
        for index in indexes:
            index.close()

    @pytest.fixture
    def index(self, indexes: list[ChromaIndex]) -> VectorIndex:
        return indexes[0]

    @pytest.fixture
    def reopen(self, indexes: list[ChromaIndex], tmp_path: Path) -> Reopen | None:
        def open_again() -> VectorIndex:
            indexes[-1].close()
            indexes.append(ChromaIndex.embedded(tmp_path / "chroma"))
            return indexes[-1]

        return open_again


class TestChromaEmbeddedReopenedAfterEveryWrite(ChromaHooks, VectorIndexSuite):
    """Nothing may depend on what a process remembers."""

    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[VectorIndex]:
        index = ReopenedIndex(tmp_path / "chroma")
        yield index
        index.close()

    @pytest.fixture
    def reopen(self, index: VectorIndex) -> Reopen | None:
        return lambda: index


def test_a_seal_is_kept_and_changes_no_record(tmp_path: Path) -> None:
    index = ChromaIndex.embedded(tmp_path / "chroma")
    assert index.seal() is None
    index.upsert([make_record("a", 1)])
    index.delete([Deletion(entity_key("b"), Position(2))])
    before = (list(index.scan(None, 10)), index.buried(Position(0), None, 10))
    index.set_seal("first")
    index.set_seal("second")
    index.vacuum(Position(1))
    assert index.seal() == "second"
    index.close()
    again = ChromaIndex.embedded(tmp_path / "chroma")
    assert again.seal() == "second"
    assert (list(again.scan(None, 10)), again.buried(Position(0), None, 10)) == before
    again.close()


def test_a_client_that_can_not_come_back_at_once_comes_back_with_the_next_call(tmp_path: Path) -> None:
    """The self-check sends everybody out of the directory; what it looks at may be unreadable for a moment."""
    index = ChromaIndex.embedded(tmp_path)
    connect, fails = index._connect, [True]

    def connecting(stack: ExitStack) -> Any:
        if fails.pop():
            raise UnavailableError("the directory can not be read now")
        return connect(stack)

    try:
        index.upsert([make_record("a")])
        index._connect = connecting
        with pytest.raises(UnavailableError), index._offline():
            pass
        fails.append(True)
        with pytest.raises(UnavailableError, match="can not be read now"):
            index.stamps([entity_key("a")])
        fails.append(False)
        assert index.stamps([entity_key("a")])[entity_key("a")].records
    finally:
        index.close()
