"""Requests in memory against the suite."""

from __future__ import annotations

import pytest

from slipstream.adapters.indexes.memory_requests import MemoryRequests
from slipstream.ports.requests import Requests
from slipstream.testkit.suites.requests import Reopen, RequestsSuite


class MemoryRequestsSuite(RequestsSuite):
    kind: type[MemoryRequests] = MemoryRequests

    @pytest.fixture
    def requests(self) -> Requests:
        return self.kind()

    @pytest.fixture
    def guest(self, requests: Requests) -> Requests:
        assert isinstance(requests, MemoryRequests)
        return requests.as_guest()

    @pytest.fixture
    def reopen(self, requests: Requests) -> Reopen | None:
        assert isinstance(requests, MemoryRequests)
        return requests.reopened


class TestMemoryRequests(MemoryRequestsSuite):
    pass
