"""The suite over every broken list. Not collected by itself: `test_broken.py` wants it to fail."""

from __future__ import annotations

from slipstream.testkit.broken.requests import BROKEN_REQUESTS
from tests.conformance.requests.test_memory import MemoryRequestsSuite

for _broken in BROKEN_REQUESTS:
    globals()[f"Test{_broken.__name__}"] = type(f"Test{_broken.__name__}", (MemoryRequestsSuite,), {"kind": _broken})
