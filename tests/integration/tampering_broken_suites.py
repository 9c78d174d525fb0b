"""The tampering suite over what hides damage. Not collected by itself: `test_tampering_broken.py` runs it."""

from __future__ import annotations

from slipstream.ports.index import VectorIndex
from slipstream.testkit.broken.audited import BROKEN_AUDITED, HonestIndex
from tests.integration.test_tampering_sqlite import SqliteHooks


class _Wrapped(SqliteHooks):
    wrapper: type[HonestIndex]

    def wrap_index(self, index: VectorIndex) -> VectorIndex:
        return self.wrapper(index)


_WRAPPERS: tuple[type[HonestIndex], ...] = (HonestIndex, *BROKEN_AUDITED)
for _wrapper in _WRAPPERS:
    globals()[f"Test{_wrapper.__name__}"] = type(f"Test{_wrapper.__name__}", (_Wrapped,), {"wrapper": _wrapper})
