"""A `TermStore`: what is known, in this file, of the records of an index in another store."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence

from slipstream.adapters.indexes.sqlite.codec import select_in
from slipstream.adapters.sqlite.connections import Database
from slipstream.domain.digests import TERM_SIZE_BYTES, Digest, KeptTerm, KeyRange, RangeDigest
from slipstream.domain.positions import Position

_IN_RANGE = "WHERE key > ? AND (? IS NULL OR key <= ?)"
_TERMS = f"SELECT key, type, term, schema_version, position FROM kept_terms {_IN_RANGE} ORDER BY key, number"  # noqa: S608
_SUMMED = f"""
SELECT type, count(*), group_concat(hex(term), ''), min(schema_version), max(schema_version), max(position)
FROM kept_terms {_IN_RANGE} GROUP BY type
"""  # noqa: S608  (a condition, no values)
_DOUBTED = f"SELECT key FROM doubted_keys {_IN_RANGE} ORDER BY key LIMIT ?"  # noqa: S608
_LANES = 4
_LANE_SIZE_BYTES = TERM_SIZE_BYTES // _LANES


class SqliteTerms:
    """A `TermStore`. Made by `SqliteStore`; joins no transaction, so that a doubt is durable at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def doubt(self, keys: Sequence[str]) -> None:
        """Note keys as in doubt; keys that already are cost no write."""
        if self._database.in_transaction:
            raise RuntimeError("an index in another store is written inside a journal transaction: see `applied`")
        with self._database.reading() as connection:
            known = {key for (key,) in select_in(connection, "SELECT key FROM doubted_keys WHERE key IN ({})", keys)}
        rows = [(key,) for key in keys if key not in known]
        if rows:
            with self._database.writing() as connection:
                connection.executemany("INSERT OR IGNORE INTO doubted_keys (key) VALUES (?)", rows)

    def doubted(self, bounds: KeyRange, limit: int) -> Sequence[str]:
        """Return the keys in doubt."""
        with self._database.reading() as connection:
            rows = connection.execute(_DOUBTED, (bounds.after, bounds.through, bounds.through, limit)).fetchall()
        return [key for (key,) in rows]

    def settle(self, keys: Sequence[str], terms: Sequence[KeptTerm]) -> None:
        """Replace terms in one transaction."""
        counted: dict[str, int] = defaultdict(int)
        rows = []
        for key, name, term, schema_version, position in terms:
            counted[key] += 1
            blob = term.to_bytes(TERM_SIZE_BYTES, "little")
            rows.append((key, counted[key], name, blob, schema_version, position))
        gone = [(key,) for key in keys]
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM kept_terms WHERE key = ?", gone)
            connection.executemany("INSERT INTO kept_terms VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.executemany("DELETE FROM doubted_keys WHERE key = ?", gone)

    def terms(self, bounds: KeyRange) -> Sequence[KeptTerm]:
        """Return the terms of a range."""
        with self._database.reading() as connection:
            rows = connection.execute(_TERMS, (bounds.after, bounds.through, bounds.through)).fetchall()
        return [
            KeptTerm(key, name, int.from_bytes(term, "little"), schema_version, Position(position))
            for key, name, term, schema_version, position in rows
        ]

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        """Return the digests of ranges in one snapshot."""
        with self._database.reading() as connection:
            return [_digest(connection, bounds) for bounds in ranges]

    def known(self) -> int:
        """Count the records."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM kept_terms").fetchone()[0])

    def forget(self) -> None:
        """Forget the terms."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM kept_terms")


def _digest(connection: sqlite3.Connection, bounds: KeyRange) -> RangeDigest:
    found = RangeDigest()
    rows = connection.execute(_SUMMED, (bounds.after, bounds.through, bounds.through)).fetchall()
    for name, count, joined, oldest, newest, position in rows:
        by_type = {name: Digest.summed(count, _lane_sums(bytes.fromhex(joined)))}
        found.add(RangeDigest(by_type, oldest, newest, Position(position)))
    return found


def _lane_sums(terms: bytes) -> list[int]:
    """Return a few numbers with the same sum as these terms, so that thousands are added in a few steps."""
    import numpy as np

    lanes = np.frombuffer(terms, dtype="<u4").reshape(-1, _LANES).sum(axis=0, dtype=np.uint64)
    return [int(lane) << (8 * _LANE_SIZE_BYTES * place) for place, lane in enumerate(lanes)]
