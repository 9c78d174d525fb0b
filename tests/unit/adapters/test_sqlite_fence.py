"""The fence around the embedded store: what an owner, a guest and a program on its own may write."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.lease import LeaseTiming
from slipstream.adapters.sqlite.lockfile import PortableLockFile
from slipstream.domain.audits import Finding, Leaf
from slipstream.domain.digests import KeyRange
from slipstream.domain.errors import ConfigError, LeaseLostError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.domain.work import DeadLetter, Lane, WorkItem
from slipstream.testkit.records import make_record

NOW = datetime(2026, 3, 4, tzinfo=UTC)
TIMING = LeaseTiming(beat_s=60.0, silence_s_max=0.1, poll_s=0.01)
"""An owner is heard of once a minute, and so replaced whenever somebody asks for long enough."""
ADA = entity_key("ada")
REFUSED = DeadLetter("import:f:1", None, "line 1: bad", 1, NOW, None, "{}")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[SqliteStore]]:
    stores = [SqliteStore(tmp_path / "index.db", shared=True, timing=TIMING) for _ in range(2)]
    yield stores
    for store in stores:
        store.close()


@pytest.fixture
def owner(stores: list[SqliteStore]) -> SqliteStore:
    assert stores[0].lease.acquire(0)
    return stores[0]


@pytest.fixture
def guest(owner: SqliteStore, stores: list[SqliteStore]) -> SqliteStore:
    return stores[1]


def _writes_of(store: SqliteStore) -> dict[str, Callable[[], object]]:
    journal, index, audits = store.journal, store.index, store.audits
    return {
        "set": lambda: journal.set("checkpoint", "1"),
        "put_work": lambda: journal.put_work([WorkItem(ADA, Lane.LIVE)]),
        "remove_work": lambda: journal.remove_work([ADA]),
        "bury": lambda: journal.bury([REFUSED]),
        "remove": lambda: journal.remove(["a"]),
        "remove_keys": lambda: journal.remove_keys([ADA]),
        "append": lambda: journal.append("t", ["1"]),
        "acknowledge": lambda: journal.acknowledge("t", [1]),
        "transaction": lambda: journal.transaction().__enter__(),
        "upsert": lambda: index.upsert([make_record("ada")]),
        "delete": lambda: index.delete([Deletion(ADA, Position(9))]),
        "restamp": lambda: index.restamp([make_record("ada").stamp]),
        "vacuum": lambda: index.vacuum(Position(9)),
        "put_leaves": lambda: audits.put_leaves([Leaf("")]),
        "clear_leaves": audits.clear_leaves,
        "keep": lambda: audits.keep({"kind": "full"}, [Finding("stale", "e:ada")]),
        "forget": lambda: audits.forget([1]),
    }


def _everything_in(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as raw:
        tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: raw.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608


def test_a_guest_writes_nothing_of_the_engines(guest: SqliteStore) -> None:
    before = _everything_in(guest.path)
    for name, write in _writes_of(guest).items():
        with pytest.raises(LeaseLostError, match="does not run the engine"):
            write()
        assert _everything_in(guest.path) == before, name


def test_an_owner_that_was_replaced_writes_nothing(owner: SqliteStore, guest: SqliteStore) -> None:
    for write in (w for name, w in _writes_of(owner).items() if name != "transaction"):
        write()
    assert guest.lease.acquire(60.0)
    before = _everything_in(owner.path)
    for name, write in _writes_of(owner).items():
        with pytest.raises(LeaseLostError):
            write()
        assert _everything_in(owner.path) == before, name


def test_the_first_write_of_a_replaced_owner_tells_it(owner: SqliteStore, guest: SqliteStore) -> None:
    assert guest.lease.acquire(60.0)
    assert owner.lease.held, "it does not know yet"
    with pytest.raises(LeaseLostError, match="taken over"):
        owner.journal.set("checkpoint", "1")
    assert not owner.lease.held


def test_a_program_on_its_own_writes_until_it_lets_go_of_a_lease(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "index.db")) as store:
        store.journal.set("a", "1")
        assert store.lease.acquire(0)
        store.journal.set("a", "2")
        store.lease.release()
        with pytest.raises(LeaseLostError):
            store.journal.set("a", "3")
        assert store.journal.get("a") == "2"


# ---------------------------------------------------------------------- guests


def test_a_guest_leaves_what_an_import_leaves(owner: SqliteStore, guest: SqliteStore) -> None:
    guest.guest.bury([REFUSED])
    guest.guest.set("import:f", "17")
    guest.guest.append("pkg_mutations", ["{}"])
    assert list(owner.journal.find([REFUSED.id])) == [REFUSED]
    assert owner.journal.get("import:f") == "17"
    assert owner.journal.depth("pkg_mutations") == 1
    guest.guest.set("import:f", None)
    assert owner.journal.get("import:f") is None


def test_a_guest_s_journal_refuses_the_rest(owner: SqliteStore, guest: SqliteStore) -> None:
    for store in (owner, guest):  # it is nobody's way around the fence, the owner's neither
        journal = store.guest
        calls: list[Callable[[], object]] = [
            lambda j=journal: j.set("checkpoint", "1"),  # type: ignore[misc]
            lambda j=journal: j.bury([DeadLetter("a", ADA, "e", 1, NOW)]),  # type: ignore[misc]
            lambda j=journal: j.put_work([WorkItem(ADA, Lane.LIVE)]),  # type: ignore[misc]
            lambda j=journal: j.remove_work([ADA]),  # type: ignore[misc]
            lambda j=journal: j.remove(["a"]),  # type: ignore[misc]
            lambda j=journal: j.remove_keys([ADA]),  # type: ignore[misc]
            lambda j=journal: j.acknowledge("t", [1]),  # type: ignore[misc]
            lambda j=journal: j.transaction().__enter__(),  # type: ignore[misc]
        ]
        for call in calls:
            with pytest.raises(LeaseLostError):
                call()


def test_a_guest_reads_everything(owner: SqliteStore, guest: SqliteStore) -> None:
    owner.index.upsert([make_record("ada")])
    owner.journal.set("checkpoint", "5")
    with owner.journal.transaction():
        owner.journal.set("checkpoint", "6")
        assert guest.journal.get("checkpoint") == "5"
    assert guest.guest.get("checkpoint") == "6"
    assert guest.index.stamps([ADA])[ADA].records == (make_record("ada").stamp,)
    (digest,) = guest.index.digests([KeyRange("", None)])
    assert [digest] == list(owner.index.digests([KeyRange("", None)]))


def test_opening_waits_for_no_writer(owner: SqliteStore) -> None:
    with owner.journal.transaction():
        owner.journal.set("checkpoint", "5")
        with closing(SqliteStore(owner.path, shared=True, busy_timeout_s=0.0)) as reader:
            assert reader.journal.get("checkpoint") is None


# ---------------------------------------------------------------------- the lock file


def test_the_lock_file_is_private_and_names_its_holder(owner: SqliteStore) -> None:
    lock = owner.path.with_name("engine.lock")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert lock.read_text(encoding="ascii").strip() == str(os.getpid())


def test_nothing_is_left_beside_a_replaced_lock_file(owner: SqliteStore, guest: SqliteStore) -> None:
    lock = owner.path.with_name("engine.lock")
    before = lock.stat().st_ino
    assert guest.lease.acquire(60.0)
    assert lock.stat().st_ino != before
    assert [path.name for path in lock.parent.glob("engine.lock*")] == ["engine.lock"]


def test_a_removed_lock_file_hands_the_engine_to_who_asks_next(owner: SqliteStore, guest: SqliteStore) -> None:
    owner.path.with_name("engine.lock").unlink()
    owner.lease.renew()
    assert guest.lease.acquire(0)
    with pytest.raises(LeaseLostError):
        owner.lease.renew()


def test_a_directory_in_its_place_is_told(stores: list[SqliteStore]) -> None:
    stores[0].path.with_name("engine.lock").mkdir()
    with pytest.raises(ConfigError, match=r"engine\.lock can not be opened"):
        stores[0].lease.acquire(0)
    assert not stores[0].lease.held


def test_a_busy_file_is_waited_for(stores: list[SqliteStore]) -> None:
    with closing(SqliteStore(stores[0].path, shared=True, busy_timeout_s=0.0, timing=TIMING)) as waiter:
        with closing(sqlite3.connect(waiter.path, isolation_level=None)) as raw:
            raw.execute("BEGIN IMMEDIATE")
            with pytest.raises(UnavailableError):
                waiter.lease.acquire(0)
            assert not waiter.lease.held
        assert waiter.lease.acquire(0), "and what it had locked it has let go of"


def test_where_there_is_no_flock_a_library_locks(tmp_path: Path) -> None:
    pytest.importorskip("filelock")
    one, other = (PortableLockFile(tmp_path / "engine.lock") for _ in range(2))
    assert one.lock()
    assert not other.lock()
    assert (one.is_current(), one.sign()) == (True, None)
    one.touch()
    one.unlock()
    assert other.lock()
    other.unlock()
    other.unlock()
