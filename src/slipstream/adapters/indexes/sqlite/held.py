"""Pages of records for audits: read with their vectors by one statement, and compared without making stamps."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from slipstream.adapters.indexes.sqlite.codec import Row
from slipstream.adapters.indexes.sqlite.schema import READABLE_RECORD
from slipstream.adapters.indexes.sqlite.terms import DIGESTED_COLUMNS, contents_of
from slipstream.domain.held import HeldPage
from slipstream.domain.models import Space
from slipstream.domain.positions import Position

_SPACE, _VERSION, _POSITION = (DIGESTED_COLUMNS.index(name) for name in ("space", "schema_version", "position"))
_HASH = len(DIGESTED_COLUMNS) + 1
# Rows that can not be read are left out, as by everything that reads stamps.
_ROWS = f"""
SELECT {", ".join(f"r.{name}" for name in DIGESTED_COLUMNS)}, v.vector, r.schema_hash
FROM records r LEFT JOIN vectors v ON v.record = r.id WHERE {READABLE_RECORD}
"""  # noqa: S608  (names of columns, no values)
_PAGE = f"{_ROWS} AND r.key > ? ORDER BY r.key, r.space LIMIT ?"
_KEY = f"{_ROWS} AND r.key = ? ORDER BY r.space"


def read_page(connection: sqlite3.Connection, spaces: Mapping[int, Space], after: str, limit: int) -> HeldPage:
    """Return about `limit` records after a key, the last key whole."""
    rows: list[Row] = connection.execute(_PAGE, (after, limit)).fetchall()
    if len(rows) >= limit > 0:
        last = rows[-1][0]
        while rows and rows[-1][0] == last:
            rows.pop()
        rows += connection.execute(_KEY, (last,)).fetchall()
    if not rows:
        return HeldPage()
    columns = list(zip(*rows, strict=True))
    return HeldPage(
        contents_of(columns[:_HASH], spaces),
        [spaces[number] for number in columns[_SPACE]],
        list(zip(columns[_VERSION], columns[_HASH], strict=True)),
        list(map(Position, columns[_POSITION])),
    )
