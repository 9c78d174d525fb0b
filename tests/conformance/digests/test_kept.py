"""Digests of SQLite's own, and those kept beside an index that has none: over memory and Chroma, and over deaths."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.wrappers.digesting import DigestingIndex
from slipstream.domain.digests import KeyRange
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps, VectorRecord
from slipstream.ports.digests import KeptDigests, RangeDigests
from slipstream.ports.scans import read_contents, scan_index
from slipstream.testkit.records import make_record
from slipstream.testkit.suites.digests import (
    RECORDS,
    DigestingVectorIndex,
    RangeDigestsSuite,
    assert_digests,
    cut,
    key_of,
)


class Killed(BaseException):
    """The process has died here."""


class Place(MemoryIndex):
    """An index in memory, as if in a store of its own; dies where it is told to, before or behind a write."""

    def __init__(self) -> None:
        super().__init__()
        self.dies = ""

    def record_count(self) -> int:
        return len(list(scan_index(self)))

    def seal(self) -> str | None:
        return None

    def set_seal(self, seal: str) -> None:
        raise NotImplementedError(seal)

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        if self.dies == "before":
            raise Killed
        fenced = super().upsert(records)
        if self.dies == "behind":
            raise Killed
        return fenced


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "index.db")
    yield store
    store.close()


class TestSqlite(RangeDigestsSuite):
    @pytest.fixture(autouse=True)
    def _open(self, store: SqliteStore) -> None:
        self._store = store

    def index(self) -> DigestingVectorIndex:
        return self._store.index


class TestBesideMemory(RangeDigestsSuite):
    @pytest.fixture(autouse=True)
    def _open(self, store: SqliteStore) -> None:
        self._store = store

    def index(self) -> DigestingVectorIndex:
        return DigestingIndex(Place(), self._store.terms)


class TestBesideChroma(RangeDigestsSuite):
    @pytest.fixture(autouse=True)
    def _open(self, store: SqliteStore, tmp_path: Path) -> Iterator[None]:
        self._store, self._path = store, tmp_path / "chroma"
        with ExitStack() as self._stack:
            yield

    def index(self) -> DigestingVectorIndex:
        chroma = ChromaIndex.embedded(self._path)
        self._stack.callback(chroma.close)
        return DigestingIndex(chroma, self._store.terms)


def filled(store: SqliteStore) -> tuple[Place, DigestingIndex]:
    place = Place()
    index = DigestingIndex(place, store.terms)
    index.upsert([make_record(key_of(number), position=1) for number in range(RECORDS)])
    index.digests([KeyRange()])
    return place, index


def missed(index: DigestingIndex) -> list[RecordKey]:
    return list(index.missed(KeyRange(), read_contents(index, "", 2 * RECORDS).terms()))


def test_it_is_known_by_what_it_can(store: SqliteStore) -> None:
    assert isinstance(DigestingIndex(Place(), store.terms), KeptDigests)
    assert isinstance(store.index, RangeDigests)
    assert not isinstance(store.index, KeptDigests)


@pytest.mark.parametrize("dies", ["before", "behind"])
def test_wherever_it_dies_the_next_process_tells_what_is_there(store: SqliteStore, dies: str) -> None:
    place, index = filled(store)
    place.dies = dies
    with suppress(Killed):
        index.upsert([make_record(key_of(3), position=2, fingerprint="another text")])
    place.dies = ""
    reopened = DigestingIndex(place, store.terms)  # knows nothing but what is durable
    assert store.terms.doubted(KeyRange(), 10) == [key_of(3).encode()]
    assert_digests(reopened, cut([2, 3, 40]))
    assert store.terms.doubted(KeyRange(), 10) == []
    assert missed(reopened) == []


def test_only_what_was_written_is_read(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    place, index = filled(store)
    index.upsert([make_record(key_of(number), position=2) for number in (5, 50)])
    index.delete([Deletion(key_of(7), Position(3))])
    read: list[RecordKey] = []
    plain = place.stamps

    def stamps(keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        read.extend(keys)
        return plain(keys)

    monkeypatch.setattr(place, "stamps", stamps)
    monkeypatch.setattr(place, "record_count", lambda: RECORDS - 1)
    index.digests([KeyRange()])
    index.digests([KeyRange()])
    assert read == [key_of(5), key_of(7), key_of(50)]


def test_what_others_have_added_or_removed_is_found_by_the_number(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    place, index = filled(store)
    place.delete([Deletion(key_of(9), Position(5))])
    assert_digests(index, [KeyRange()])
    assert f"holds {RECORDS - 1} records where {RECORDS} are known of" in caplog.text
    assert missed(index) == []


def test_what_others_have_changed_is_found_by_who_reads_everything(store: SqliteStore) -> None:
    place, index = filled(store)
    place.upsert([make_record(key_of(9), position=5, fingerprint="past the index")])
    assert missed(index) == [key_of(9)]
    assert missed(index) == []
    assert_digests(index, [KeyRange()])


def test_what_is_written_while_it_is_read_stays_in_doubt(store: SqliteStore) -> None:
    place, index = filled(store)
    index.upsert([make_record(key_of(3), position=2)])
    plain, once = place.stamps, list[object]()

    def stamps(keys):  # type: ignore[no-untyped-def]
        found = plain(keys)
        if not once:
            once.append(index.upsert([make_record(key_of(3), position=4, fingerprint="meanwhile")]))
        return found

    place.stamps = stamps  # type: ignore[method-assign]
    assert_digests(index, [KeyRange()])
    assert missed(index) == []


def test_what_is_under_way_is_not_taken_for_settled(store: SqliteStore) -> None:
    place, index = filled(store)
    begun, goes_on = threading.Event(), threading.Event()
    plain = place.upsert

    def slow(records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        begun.set()
        assert goes_on.wait(60)
        return plain(records)

    place.upsert = slow  # type: ignore[method-assign]
    writer = threading.Thread(
        target=index.upsert, args=([make_record(key_of(3), position=2, fingerprint="under way")],)
    )
    writer.start()
    assert begun.wait(60)
    index.digests([KeyRange()])  # in the middle of the write
    assert missed(index) == []
    goes_on.set()
    writer.join()
    assert_digests(index, [KeyRange()])
    assert missed(index) == []


def test_a_write_that_can_not_be_noted_is_not_made(store: SqliteStore) -> None:
    place, index = filled(store)
    store.close()
    with pytest.raises(UnavailableError):
        index.upsert([make_record(key_of(3), position=2, fingerprint="not noted")])
    assert plain_position(place) == 1


def plain_position(place: Place) -> int:
    return place.stamps([key_of(3)])[key_of(3)].records[0].position


def test_a_directory_that_was_changed_while_nobody_had_it_open_is_told(tmp_path: Path) -> None:
    path = tmp_path / "chroma"
    with ExitStack() as stack:
        for is_changed in (False, False, True):
            if is_changed:
                (path / "chroma.sqlite3").touch()
            index = ChromaIndex.embedded(path)
            stack.callback(index.close)
            assert index.was_changed is is_changed
            index.close()
