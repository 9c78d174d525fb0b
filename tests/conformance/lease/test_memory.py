"""The lease in memory against the suite."""

from __future__ import annotations

from tests.conformance.lease.memory_engine import MemoryLeaseSuite


class TestMemoryLease(MemoryLeaseSuite):
    pass
