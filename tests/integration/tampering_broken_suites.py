"""The tampering suite over what hides damage. Not collected by itself: `test_tampering_broken.py` runs it."""

from __future__ import annotations

from slipstream.ports.index import VectorIndex
from slipstream.ports.words import WordRows
from slipstream.testkit.broken.audited import BROKEN_AUDITED, HonestIndex
from slipstream.testkit.broken.words_audited import BROKEN_ROWS, HonestRows
from tests.integration.test_tampering_sqlite import SqliteHooks
from tests.integration.test_tampering_words import SqliteWordsHooks


class _Wrapped(SqliteHooks):
    wrapper: type[HonestIndex]

    def wrap_index(self, index: VectorIndex) -> VectorIndex:
        return self.wrapper(index)


_WRAPPERS: tuple[type[HonestIndex], ...] = (HonestIndex, *BROKEN_AUDITED)
for _wrapper in _WRAPPERS:
    globals()[f"Test{_wrapper.__name__}"] = type(f"Test{_wrapper.__name__}", (_Wrapped,), {"wrapper": _wrapper})


class _WrappedRows(SqliteWordsHooks):
    rows_wrapper: type[HonestRows]

    def wrap(self, rows: WordRows) -> WordRows:
        return self.rows_wrapper(rows)


_ROWS: tuple[type[HonestRows], ...] = (HonestRows, *BROKEN_ROWS)
for _rows in _ROWS:
    globals()[f"TestWords{_rows.__name__}"] = type(
        f"TestWords{_rows.__name__}", (_WrappedRows,), {"rows_wrapper": _rows}
    )
