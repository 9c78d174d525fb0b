"""A lease that nobody renews any more says so, before another process takes it."""

from __future__ import annotations

from pathlib import Path

from slipstream.adapters.indexes.memory_lease import LeaseRoom, MemoryLease
from slipstream.adapters.indexes.sqlite import SqliteStore


def test_a_lease_whose_thread_has_ended_is_not_renewed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "index.db", shared=True)
    lease = store.lease
    assert lease.is_renewed  # nothing is held, so nothing is to be renewed
    assert lease.acquire(5)
    assert lease.is_renewed
    lease._stopping.set()
    thread = lease._beating
    assert thread is not None
    thread.join(30)
    assert not lease.is_renewed
    lease.release()
    assert lease.is_renewed
    assert lease.acquire(5)
    assert lease.is_renewed
    store.close()


def test_a_stalled_owner_renews_nothing() -> None:
    lease = MemoryLease(LeaseRoom(lambda: 0.0, 10.0))
    assert lease.acquire(0)
    assert lease.is_renewed
    lease.stalled = True
    assert not lease.is_renewed
    lease.release()
    assert lease.is_renewed
