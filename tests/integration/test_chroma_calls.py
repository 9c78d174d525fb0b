"""What a batch costs in Chroma: how often it is called, and what is written of each record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from chromadb.api.models.Collection import Collection

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.adapters.indexes.chroma.codec import collection_name, stored_fields
from slipstream.adapters.indexes.chroma.embedded import open_embedded
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, VectorRecord
from slipstream.testkit.records import SPACE, make_record

KEYS = [f"n{number:03}" for number in range(300)]

Calls = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Return what Chroma's collections are called for, in order."""
    seen: Calls = []

    def noted(name: str) -> Callable[..., Any]:
        inner = getattr(Collection, name)

        def call(collection: Collection, **options: Any) -> Any:
            seen.append((name, options))
            return inner(collection, **options)

        return call

    for name in ("get", "count", "upsert", "update", "delete"):
        monkeypatch.setattr(Collection, name, noted(name))
    return seen


@pytest.fixture
def index(tmp_path: Path) -> Iterator[ChromaIndex]:
    index = ChromaIndex.embedded(tmp_path)
    yield index
    index.close()


def records(position: int) -> list[VectorRecord]:
    return [make_record(key, position) for key in KEYS]


def keys_read(index: ChromaIndex, calls: Calls) -> None:
    index.stamps([entity_key(key) for key in KEYS])
    calls.clear()


def names(calls: Calls) -> list[str]:
    return [name for name, _ in calls]


def test_a_batch_is_read_once_and_written_once(index: ChromaIndex, calls: Calls) -> None:
    index.upsert(records(1))
    calls.clear()
    index.stamps([entity_key(key) for key in KEYS])
    assert names(calls) == ["get", "get"]  # the records, and the tombstones
    calls.clear()
    assert not index.upsert(records(2))
    assert names(calls) == ["upsert"]
    keys_read(index, calls)
    index.restamp([record.stamp._replace(position=Position(3)) for record in records(2)])
    assert names(calls) == ["update"]
    keys_read(index, calls)
    index.delete([Deletion(entity_key(key), Position(4)) for key in KEYS])
    assert names(calls) == ["upsert", "delete"]  # the tombstones, then the records
    keys_read(index, calls)
    assert not index.upsert(records(5))
    assert names(calls) == ["upsert", "delete"]  # the records, then the tombstones


def test_what_was_read_is_used_for_one_write_only(index: ChromaIndex, calls: Calls) -> None:
    index.upsert(records(1))
    keys_read(index, calls)
    index.upsert(records(3))
    assert len(index.upsert(records(2))) == len(KEYS)
    assert names(calls) == ["upsert", "get", "get"]


def test_what_was_read_is_forgotten_behind_a_failed_call(
    index: ChromaIndex, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.upsert(records(1))
    keys_read(index, calls)
    with monkeypatch.context() as patch:
        patch.setattr(Collection, "update", lambda *_, **__: 1 / 0)
        with suppress(SlipstreamError, ZeroDivisionError):
            index.restamp([records(1)[0].stamp._replace(position=Position(2))])
    calls.clear()
    index.upsert(records(2)[1:])
    assert names(calls)[-1] == "upsert"
    assert names(calls).count("get") >= 2


def test_what_was_read_is_forgotten_when_tombstones_are(index: ChromaIndex, calls: Calls) -> None:
    index.delete([Deletion(entity_key("n000"), Position(9))])
    keys_read(index, calls)
    index.vacuum(Position(9))
    assert not index.upsert(records(1))


def test_where_others_can_write_each_write_reads_first(tmp_path: Path, calls: Calls) -> None:
    """As on a server: a writer whose lease was lost in between must not overwrite its successor."""
    index = ChromaIndex("shared", lambda stack: open_embedded(tmp_path, stack))
    try:
        index.upsert(records(1))
        keys_read(index, calls)
        other = index._client.get_collection(collection_name(SPACE), embedding_function=None)
        newer = {**other.get(ids=["e:n000"])["metadatas"][0]}
        newer["stamp"] = json.dumps({**json.loads(newer["stamp"]), "position": 7})
        other.update(ids=["e:n000"], metadatas=[newer])
        assert index.upsert(records(2)) == [entity_key("n000")]
    finally:
        index.close()


def test_a_record_is_three_rows_and_an_overwrite_writes_one(index: ChromaIndex, calls: Calls, tmp_path: Path) -> None:
    record = make_record("a", 1)
    index.upsert([record])
    index.upsert([make_record("a", 2)])
    written = [options["metadatas"][0] for name, options in calls if name == "upsert"]
    assert set(written[0]) == {"entity_type", "schema_version", "stamp"} | set(_users(record))
    assert set(written[1]) == {"stamp"}
    index.close()
    with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM embedding_metadata").fetchone()
    assert rows == len(written[0])


def test_a_new_collection_is_read_before_it_is_written_to(index: ChromaIndex, calls: Calls) -> None:
    """Else the first read behind the first write has Chroma apply its whole log once more with the second one."""
    index.upsert(records(1))
    assert names(calls).index("count") < names(calls).index("upsert")


def test_records_of_an_older_version_are_read_and_overwritten(index: ChromaIndex) -> None:
    """It wrote each field under its own name."""
    record = make_record("a", 3)
    index.upsert([record])
    collection = index._client.get_collection(collection_name(SPACE), embedding_function=None)
    flat = {**stored_fields(collection.get(ids=["e:a"])["metadatas"][0])}
    collection.update(ids=["e:a"], metadatas=[{**flat, "stamp": None}])
    (stamp,) = index.stamps([record.stamp.key])[record.stamp.key].records
    assert stamp == record.stamp
    assert index.upsert([make_record("a", 2)]) == [record.stamp.key]
    assert not index.upsert([make_record("a", 4)])
    left: Mapping[str, Any] = collection.get(ids=["e:a"])["metadatas"][0]
    assert set(left) == {"entity_type", "schema_version", "stamp"} | set(_users(record))


def _users(record: VectorRecord) -> list[str]:
    return [f"meta.{name}" for name in record.stamp.metadata]
