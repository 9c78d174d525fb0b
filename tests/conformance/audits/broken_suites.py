"""The suite over every broken audit memory. Not collected by itself: `test_broken.py` wants it to fail."""

from __future__ import annotations

import pytest

from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.testkit.broken.audits import BROKEN_AUDITS
from slipstream.testkit.suites.audits import AuditsSuite, FullAudits


class _BrokenSuite(AuditsSuite):
    broken: type[MemoryAudits]

    @pytest.fixture
    def audits(self) -> FullAudits:
        return self.broken()


for _broken in BROKEN_AUDITS:
    globals()[f"Test{_broken.__name__}"] = type(f"Test{_broken.__name__}", (_BrokenSuite,), {"broken": _broken})
