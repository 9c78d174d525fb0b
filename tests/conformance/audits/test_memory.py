"""The audit's memory in dictionaries against the suite."""

from __future__ import annotations

import pytest

from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.testkit.suites.audits import AuditsSuite, FullAudits


class TestMemoryAudits(AuditsSuite):
    @pytest.fixture
    def audits(self) -> FullAudits:
        return MemoryAudits()
