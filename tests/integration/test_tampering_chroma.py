"""The tampering suite over embedded Chroma, damaged with chromadb's own client while the directory is closed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from chromadb.config import Settings
from chromadb.errors import InvalidArgumentError

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.adapters.indexes.chroma.codec import collection_name, space_text, stored_fields
from slipstream.adapters.indexes.chroma.collections import TOMBSTONES
from slipstream.app.config import Config
from slipstream.domain.models import Space
from slipstream.domain.stamps import MetadataValue, SearchFilter, Vector
from slipstream.testkit.records import SPACE, make_record, unit_vector
from slipstream.testkit.suites.tampering import RawStore, RefusedError, TamperingSuite
from slipstream.testkit.suites.tampering_ways import WAYS, Damage
from slipstream.testkit.suites.tampering_world import DIMENSION, data_of
from tests.depth import first_few

_VICTIMS = ("e:p010", "e:p390", "r:KNOWS:p000:p001")
_ALONE = (
    "deleted",
    "foreign",
    "fingerprint",
    "schema version",
    "another space",
    "copied to another space",
    "swapped",
    "NaN",  # which it refuses
)
_JUNK = {
    "entity_type": 5,
    "schema_version": 1.0,
    "needs_reembedding": "yes",
    "created_at": True,
    "last_validated": "yesterday",
    "extraction_confidence": "high",
    "source_document_id": 7,
    "reembedding_reason": False,
    "position": -1,
    "meta.city": ["Bern", "Basel"],
}


class RawChroma(RawStore):
    def __init__(self, client: Any) -> None:
        self.client = client

    def collections(self) -> list[Any]:
        return [c for c in self.client.list_collections() if c.name != TOMBSTONES]

    def of(self, key: str) -> Any:
        """Return the collection that a record is in."""
        (found,) = [c for c in self.collections() if c.get(ids=[key], include=[])["ids"]]
        return found

    def keys(self) -> list[str]:
        return sorted({key for c in self.collections() for key in c.get(include=[])["ids"]})

    def fields(self, key: str) -> dict[str, object]:
        return dict(stored_fields(self._metadata(key)))

    def _metadata(self, key: str) -> dict[str, Any]:
        return dict(self.of(key).get(ids=[key], include=["metadatas"])["metadatas"][0])

    def delete(self, key: str) -> None:
        self.of(key).delete(ids=[key])

    def insert(self, identity: str, like: str, without: Sequence[str] = ()) -> None:
        kept = {name: value for name, value in self.fields(like).items() if name not in without}
        self.of(like).add(ids=[identity], embeddings=[self.vector(like)], metadatas=[kept])

    def _in_space(self, space: Space) -> Any:
        return self.client.get_or_create_collection(
            collection_name(space), embedding_function=None, metadata={"slipstream_space": space_text(space)}
        )

    def copy_to(self, key: str, space: Space) -> None:
        self._in_space(space).add(ids=[key], embeddings=[self.vector(key)], metadatas=[self.fields(key)])

    def move_to(self, key: str, space: Space) -> None:
        source = self.of(key)
        self.copy_to(key, space)
        source.delete(ids=[key])

    def edit(self, key: str, name: str, value: object) -> None:
        metadata = self._metadata(key)
        if name in metadata or name.startswith("meta."):
            metadata = {name: value}
        else:
            metadata["stamp"] = json.dumps({**json.loads(metadata["stamp"]), name: value})
        self.of(key).update(ids=[key], metadatas=[metadata])

    def edit_metadata(self, key: str, name: str, value: MetadataValue | None) -> None:
        self.edit(key, f"meta.{name}", value)

    def vector(self, key: str) -> Vector:
        return np.asarray(self.of(key).get(ids=[key], include=["embeddings"])["embeddings"][0], dtype=np.float32)

    def put_vector(self, key: str, vector: Vector) -> None:
        try:
            self.of(key).update(ids=[key], embeddings=[vector])
        except InvalidArgumentError as error:
            raise RefusedError(str(error)) from error

    def drop_vector(self, key: str) -> None:
        raise RefusedError("Chroma's client has no way to remove a vector alone")

    def bury(self, key: str, position: int) -> None:
        tombstones = self.client.get_collection(TOMBSTONES, embedding_function=None)
        tombstones.upsert(ids=[key], embeddings=[[0.5]], metadatas=[{"position": position}])


class TestChromaTampering(TamperingSuite):
    config = Config.model_validate({"index": {"adapter": "chroma"}})
    refused = frozenset({"NaN", "another dimension", "no vector"})

    @contextmanager
    def raw(self, data: Path) -> Iterator[RawChroma]:
        settings = Settings.model_construct(anonymized_telemetry=False)
        with closing(chromadb.PersistentClient(str(data / "chroma"), settings=settings)) as client:
            yield RawChroma(client)

    def store_files(self, data: Path) -> Sequence[Path]:
        return [data / "chroma"]

    @pytest.mark.parametrize("name", first_few([*_ALONE, *(way for way in WAYS if way not in _ALONE)], len(_ALONE)))
    def test_damage_is_found_with_its_class_and_repaired(self, directory: Path, name: str) -> None:
        """Every way is in `test_everything_at_once`; alone, the usual suite has one of each class."""
        super().test_damage_is_found_with_its_class_and_repaired(directory, name)

    @pytest.mark.parametrize("name", _JUNK)
    def test_junk_in_a_stamp_is_corrupt(self, directory: Path, name: str) -> None:
        with self.raw(data_of(directory)) as raw:
            for key in _VICTIMS:
                raw.edit(key, name, _JUNK[name])
        self._assert_found_and_repaired(directory, Damage().of("corrupt", *_VICTIMS))

    def test_records_without_any_metadata_are_corrupt_or_orphaned(self, directory: Path) -> None:
        with self.raw(data_of(directory)) as raw:
            for key in (*_VICTIMS, "e:ghost"):
                collection, vector = raw.of(_VICTIMS[0]), raw.vector(_VICTIMS[0])
                collection.delete(ids=[key])
                collection.add(ids=[key], embeddings=[vector])
        self._assert_found_and_repaired(directory, Damage().of("corrupt", *_VICTIMS).of("orphaned", "e:ghost"))

    @pytest.mark.parametrize(
        ("change", "value"),
        [
            ("UPDATE embeddings_queue SET vector = ? WHERE id = ?", np.full(DIMENSION, np.nan, "<f4").tobytes()),
            ("UPDATE embeddings_queue SET vector = ? WHERE id = ?", np.ones(DIMENSION - 1, "<f4").tobytes()),
            ("DELETE FROM embeddings_queue WHERE ? IS NULL AND id = ?", None),
        ],
        ids=["NaN", "another dimension", "no vector"],
    )
    def test_a_vector_damaged_in_the_log_is_corrupt(self, directory: Path, change: str, value: bytes | None) -> None:
        """What Chroma's client refuses to write: its files are lost, and the log that they are made of is damaged."""
        store = data_of(directory) / "chroma"
        with closing(sqlite3.connect(store / "chroma.sqlite3")) as connection, connection:
            for key in _VICTIMS:
                assert connection.execute(change, (value, key)).rowcount >= 1
            connection.execute(
                "DELETE FROM max_seq_id WHERE segment_id IN (SELECT id FROM segments WHERE scope = 'VECTOR')"
            )
        for path in store.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        self._assert_found_and_repaired(directory, Damage().of("corrupt", *_VICTIMS))

    def test_a_collection_that_does_not_say_what_it_holds_is_missed_whole(self, directory: Path) -> None:
        with self.raw(data_of(directory)) as raw:
            keys = raw.keys()
            raw.of(keys[0]).modify(metadata={"forged": True})
            raw.client.create_collection("slipstream-of-somebody-else", embedding_function=None)
        self._assert_found_and_repaired(directory, Damage().of("missing", *keys))
        with self.raw(data_of(directory)) as raw:
            assert raw.client.get_collection("slipstream-of-somebody-else", embedding_function=None).count() == 0

    def test_a_tombstone_that_can_not_be_read_fences_nothing(self, directory: Path) -> None:
        with self.raw(data_of(directory)) as raw:
            for key in _VICTIMS:
                raw.delete(key)
            tombstones = raw.client.get_collection(TOMBSTONES, embedding_function=None)
            tombstones.upsert(ids=list(_VICTIMS), embeddings=[[0.5]] * 3, metadatas=[{"position": "now"}] * 3)
        self._assert_found_and_repaired(directory, Damage().of("missing", *_VICTIMS))


def test_a_damaged_vector_does_not_win_a_search(tmp_path: Path) -> None:
    index = ChromaIndex.embedded(tmp_path)
    try:
        index.upsert([make_record(f"n{number}") for number in range(30)])
        query = unit_vector("query")
        honest = [hit.stamp.key.encode() for hit in index.search(SPACE, query, 30, SearchFilter())]
        index._client.get_collection(collection_name(SPACE), embedding_function=None).update(
            ids=honest[-3:], embeddings=[query * 50, np.zeros_like(query), -query * 9]
        )
        found = [hit.stamp.key.encode() for hit in index.search(SPACE, query, 10, SearchFilter())]
        assert found == honest[:10]
        assert len(index.search(SPACE, query, 30, SearchFilter())) == 27
    finally:
        index.close()
