"""The suite over every broken lease. Not collected by itself: `test_broken.py` wants it to fail."""

from __future__ import annotations

from slipstream.testkit.broken.lease import BROKEN_LEASES
from tests.conformance.lease.memory_engine import MemoryLeaseSuite


class _BrokenSuite(MemoryLeaseSuite):
    silence_s_max = 0.1
    patience_s = 0.5


for _broken in BROKEN_LEASES:
    globals()[f"Test{_broken.__name__}"] = type(f"Test{_broken.__name__}", (_BrokenSuite,), {"kind": _broken})
