"""
Range digests of the stored records, kept by segments and computed anew where something was written.

The table `segments` cuts the keys into ranges. Triggers in the file, which see every writer, even one that bypasses
this package, void the digest of the segment that a write falls into, and count the write. The next question computes
the digest anew from records and vectors, which are checked: on a snapshot, without holding up any writer; it is kept
only if nothing was written to the segment meanwhile.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter

from slipstream.adapters.indexes.sqlite.audits import encoded_digests, summed_digests
from slipstream.adapters.indexes.sqlite.codec import Row
from slipstream.adapters.indexes.sqlite.terms import DIGESTED_COLUMNS, digests_of_groups
from slipstream.domain.digests import KeyRange, RangeDigest
from slipstream.domain.models import Space
from slipstream.domain.positions import ORIGIN, Position

SEGMENT_SIZE_MAX = 8
"""Records of a segment: so many are read for each write, while smaller segments would be more to add up."""
_PIECES_AT_ONCE = 16
_RANGES_AT_ONCE = 64

# One statement for many ranges, each a search in the index. Within a range, rows come in the order of the index; an
# ORDER BY would have SQLite sort them, with their vectors.
_RECORDS = f"""
WITH ranges (after, through) AS (VALUES {{}})
SELECT s.after, {", ".join(f"r.{name}" for name in DIGESTED_COLUMNS)}, v.vector
FROM ranges s CROSS JOIN records r INDEXED BY sqlite_autoindex_records_1 LEFT JOIN vectors v ON v.record = r.id
WHERE r.key > s.after AND r.key <= s.through
"""  # noqa: S608  (names of columns, no values)
_BEHIND_TEXT = b""
"""An upper bound above every key: to SQLite, any blob is greater than any text."""
# There are thousands of whole segments with a digest to add up, so they come as one row.
_KNOWN = """
SELECT group_concat(digests), min(schema_version_min), max(schema_version_max), max(position_max) FROM segments
WHERE digests IS NOT NULL AND after >= ?{}
"""
_OTHERS = """
SELECT after, (SELECT min(n.after) FROM segments n WHERE n.after > s.after), writes FROM segments s
WHERE after >= (SELECT max(after) FROM segments WHERE after <= ?) AND after < ?
AND (digests IS NULL OR after < ? OR after = ?) ORDER BY after
"""
_NO_ROWS: tuple[None, Iterator[Row]] = (None, iter(()))
_LAST = "SELECT max(after) FROM segments WHERE after < ?"
_NEXT = "SELECT min(after) FROM segments WHERE after > ?"
_KEEP = """
UPDATE segments SET digests = ?, schema_version_min = ?, schema_version_max = ?, position_max = ?
WHERE after = ? AND writes = ?
"""
_CUT = """
INSERT OR IGNORE INTO segments (after, digests, schema_version_min, schema_version_max, position_max, writes)
VALUES (?, ?, ?, ?, ?, 0)
"""


@dataclass(slots=True)
class _Piece:
    """A part of a segment, with its digest if that was computed."""

    after: str
    through: str | None
    rows: Sequence[Row] = ()
    digest: RangeDigest | None = None


@dataclass(slots=True)
class _Segment:
    """One row: the keys after `after`, up to and including that of the next row."""

    after: str
    through: str | None
    writes: int
    pieces: list[_Piece] = field(default_factory=list)
    """The parts that were computed, in key order."""

    def cut(self) -> Iterator[_Piece]:
        """Yield pieces that cover the segment without gaps; those not computed have no digest."""
        reached: str | None = self.after
        for piece in self.pieces:
            if piece.after != reached and reached is not None:
                yield _Piece(reached, piece.after)
            yield piece
            reached = piece.through
        if reached is not None and reached != self.through:
            yield _Piece(reached, self.through)


class Segments:
    """Computes digests of ranges from one snapshot; `keep` then stores those that had to be computed."""

    def __init__(self, snapshot: sqlite3.Connection, spaces: Mapping[int, Space]) -> None:
        self._snapshot, self._spaces = snapshot, spaces
        self._computed: dict[str, _Segment] = {}

    def digest(self, bounds: KeyRange) -> RangeDigest:
        """Return the digest of a range; ranges must be asked for in key order."""
        found = RangeDigest()
        cut = self._cut_by_end(bounds.through)
        pieces = self._pieces(bounds, cut)
        while page := list(islice(pieces, _PIECES_AT_ONCE)):  # computing many at once costs less
            digests = digests_of_groups([piece.rows for piece in page], self._spaces)
            for piece, digest in zip(page, digests, strict=True):
                piece.rows, piece.digest = (), digest
                found.add(digest)
            time.sleep(0)  # gives Python's lock to a waiting thread: that of a live change, say
        found.add(self._sum_of_known(bounds.after, bounds.through if cut is None else cut))
        return found

    def _pieces(self, bounds: KeyRange, cut: str | None) -> Iterator[_Piece]:
        """Yield the pieces of a range that must be digested, and note them."""
        end = _BEHIND_TEXT if bounds.through is None else bounds.through
        others = self._snapshot.execute(_OTHERS, (bounds.after, end, bounds.after, cut)).fetchall()
        for start in range(0, len(others), _RANGES_AT_ONCE):
            page = others[start : start + _RANGES_AT_ONCE]
            segments = [self._computed.setdefault(row[0], _Segment(*row)) for row in page]
            for segment, piece in self._read([(segment, _within(segment, bounds)) for segment in segments]):
                if piece.through is None or piece.through > piece.after:  # an empty piece is no cut
                    segment.pieces.append(piece)
                    yield piece

    def _read(self, asked: Sequence[tuple[_Segment, KeyRange]]) -> Iterator[tuple[_Segment, _Piece]]:
        """Yield the records of ranges, each cut into pieces."""
        values: list[object] = []
        for _, (after, through) in asked:
            values += (after, _BEHIND_TEXT if through is None else through)
        statement = _RECORDS.format(", ".join(["(?, ?)"] * len(asked)))
        found = groupby(self._snapshot.execute(statement, values), itemgetter(0))
        holding, rows = next(found, _NO_ROWS)
        for segment, bounds in asked:
            if holding == bounds.after:
                yield from ((segment, piece) for piece in _cut_up(bounds, rows))
                holding, rows = next(found, _NO_ROWS)
            else:
                yield segment, _Piece(*bounds)

    def _cut_by_end(self, through: str | None) -> str | None:
        """Return the segment within which a range ends; None when the range ends where a segment does."""
        if through is None:
            return None
        (last,) = self._snapshot.execute(_LAST, (through,)).fetchone()
        (end,) = self._snapshot.execute(_NEXT, (last,)).fetchone()
        return None if _ends_within(end, through) else last

    def _sum_of_known(self, after: str, before: str | None) -> RangeDigest:
        """Return the sum of the digests of the segments that have one and begin within the bounds."""
        texts, oldest, newest, position = self._between(_KNOWN, "after < ?", after, before).fetchone()
        if texts is None:
            return RangeDigest()
        return RangeDigest(summed_digests([texts]), oldest, newest or 0, Position(position or ORIGIN))

    def _between(self, query: str, upper: str, after: str, through: str | None) -> sqlite3.Cursor:
        if through is None:
            return self._snapshot.execute(query.format(""), (after,))
        return self._snapshot.execute(query.format(f" AND {upper}"), (after, through))

    @property
    def has_news(self) -> bool:
        """Whether something was computed."""
        return bool(self._computed)

    def keep(self, writer: sqlite3.Connection) -> None:
        """Store what was computed, segment by segment, unless something was written to it since the snapshot."""
        for segment in self._computed.values():
            first, *others = segment.cut()
            kept = writer.execute(_KEEP, (*_columns(first.digest), segment.after, segment.writes))
            if kept.rowcount and others:
                # A cut counts as a write, so that what others computed for the uncut segment is not kept.
                writer.execute("UPDATE segments SET writes = writes + 1 WHERE after = ?", (segment.after,))
                writer.executemany(_CUT, ((piece.after, *_columns(piece.digest)) for piece in others))


def _within(segment: _Segment, bounds: KeyRange) -> KeyRange:
    """Return the part of a segment within bounds."""
    through = segment.through if _ends_within(segment.through, bounds.through) else bounds.through
    return KeyRange(max(segment.after, bounds.after), through)


def _cut_up(bounds: KeyRange, found: Iterable[Row]) -> Iterator[_Piece]:
    """Yield a range in pieces of about `SEGMENT_SIZE_MAX` records, each key whole, given its rows of `_RECORDS`."""
    after, rows = bounds.after, list[Row]()
    for row in (each[1:] for each in found):
        if len(rows) >= SEGMENT_SIZE_MAX and row[0] != rows[-1][0]:
            end: str = rows[-1][0]
            yield _Piece(after, end, rows)
            after, rows = end, []
        rows.append(row)
    yield _Piece(after, bounds.through, rows)


def _ends_within(through: str | None, bound: str | None) -> bool:
    return bound is None or (through is not None and through <= bound)


def _columns(digest: RangeDigest | None) -> Row:
    if digest is None:
        return None, None, None, None
    bounds = (digest.schema_version_min, digest.schema_version_max, digest.position_max)
    return encoded_digests(digest.by_type), *bounds
