"""
Range digests of the stored records, kept by ranges and computed anew where something was written.

The table `segments` cuts the keys into ranges. Triggers, which live in the file and so see every writer, also one
that bypasses this package, void the digest of the range that a write falls into and count the write; the next
question computes it from the records and the vectors, which are checked. It is computed on a snapshot, without
holding up any writer, and kept only if nothing was written to the range meanwhile.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from slipstream.adapters.indexes.sqlite.audits import encoded_digests, summed_digests
from slipstream.adapters.indexes.sqlite.codec import Row
from slipstream.adapters.indexes.sqlite.terms import DIGESTED_COLUMNS, digest_of_rows
from slipstream.domain.digests import KeyRange, RangeDigest
from slipstream.domain.models import Space
from slipstream.domain.positions import ORIGIN, Position

SEGMENT_SIZE_MAX = 128
"""A write voids one segment, and so many records are read for it; with smaller ones there are more to add up."""
_ROWS_BETWEEN_YIELDS = 64

# The upper bound is a term of its own, or left out: as `? IS NULL OR ...` it would bound no search in the index.
_RECORDS = f"""
SELECT {", ".join(f"r.{name}" for name in DIGESTED_COLUMNS)}, v.vector
FROM records r LEFT JOIN vectors v ON v.record = r.id
WHERE r.key > ?{{}} ORDER BY r.key
"""  # noqa: S608  (names of columns, no values)
_SEGMENTS = """
SELECT after, writes, digests, schema_version_min, schema_version_max, position_max FROM segments
WHERE after >= (SELECT max(after) FROM segments WHERE after <= ?){} ORDER BY after
"""
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
    """A part of a segment, and its digest if that was asked for."""

    after: str
    through: str | None
    digest: RangeDigest | None


@dataclass(slots=True)
class _Segment:
    """One row: the keys behind `after` and up to the next row's."""

    after: str
    through: str | None
    writes: int
    pieces: list[_Piece] = field(default_factory=list)
    """What was computed of it, in key order."""

    def cut(self) -> Iterator[_Piece]:
        """Yield the pieces without gaps: what was not computed has no digest."""
        reached: str | None = self.after
        for piece in self.pieces:
            if piece.after != reached and reached is not None:
                yield _Piece(reached, piece.after, None)
            yield piece
            reached = piece.through
        if reached is not None and reached != self.through:
            yield _Piece(reached, self.through, None)


class Segments:
    """Answers for ranges from one snapshot; `keep` then stores what had to be computed."""

    def __init__(self, snapshot: sqlite3.Connection, spaces: Mapping[int, Space]) -> None:
        self._snapshot, self._spaces = snapshot, spaces
        self._computed: dict[str, _Segment] = {}

    def digest(self, bounds: KeyRange) -> RangeDigest:
        """Return the digest of a range; ranges must be asked for in key order."""
        found = RangeDigest()
        known: list[Row] = []
        for after, through, writes, digest in self._overlapping(bounds):
            is_whole = after >= bounds.after and _ends_within(through, bounds.through)
            if is_whole and digest[0] is not None:
                known.append(digest)
            else:
                segment = self._computed.setdefault(after, _Segment(after, through, writes))
                self._compute(segment, bounds, found)
        found.add(_sum_of(known))
        return found

    def _overlapping(self, bounds: KeyRange) -> Iterator[tuple[str, str | None, int, Row]]:
        """Yield start, end, writes and digest (as `_columns` returns it) of each segment."""
        rows = self._between(_SEGMENTS, "after < ?", bounds.after, bounds.through).fetchall()
        ends = [row[0] for row in rows[1:]]
        if bounds.through is None:
            ends.append(None)
        else:
            ends.append(self._snapshot.execute(_NEXT, (rows[-1][0],)).fetchone()[0])
        for row, through in zip(rows, ends, strict=True):
            yield row[0], through, row[1], row[2:]

    def _compute(self, segment: _Segment, bounds: KeyRange, found: RangeDigest) -> None:
        """Digest what lies within the bounds, in pieces of about `SEGMENT_SIZE_MAX` records, the last key whole."""
        after = max(segment.after, bounds.after)
        through = segment.through if _ends_within(segment.through, bounds.through) else bounds.through
        rows: list[Row] = []
        for row in self._between(_RECORDS, "r.key <= ?", after, through):
            if len(rows) >= SEGMENT_SIZE_MAX and row[0] != rows[-1][0]:
                end: str = rows[-1][0]
                self._note(segment, _Piece(after, end, self._digest_of(rows)), found)
                after, rows = end, []
            rows.append(row)
            if not len(rows) % _ROWS_BETWEEN_YIELDS:
                time.sleep(0)  # lets a thread go on that waits for Python's lock: a live change, say
        self._note(segment, _Piece(after, through, self._digest_of(rows)), found)

    @staticmethod
    def _note(segment: _Segment, piece: _Piece, found: RangeDigest) -> None:
        if piece.through is not None and piece.through <= piece.after:
            return  # an empty range: a cut at its end would say that nothing follows
        segment.pieces.append(piece)
        if piece.digest is not None:
            found.add(piece.digest)

    def _digest_of(self, rows: Sequence[Row]) -> RangeDigest:
        return digest_of_rows(rows, self._spaces)

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
                # A cut counts as a write: pieces that others computed of the whole must not be kept any more.
                writer.execute("UPDATE segments SET writes = writes + 1 WHERE after = ?", (segment.after,))
                writer.executemany(_CUT, ((piece.after, *_columns(piece.digest)) for piece in others))


def _ends_within(through: str | None, bound: str | None) -> bool:
    return bound is None or (through is not None and through <= bound)


def _columns(digest: RangeDigest | None) -> Row:
    if digest is None:
        return None, None, None, None
    bounds = (digest.schema_version_min, digest.schema_version_max, digest.position_max)
    return encoded_digests(digest.by_type), *bounds


def _sum_of(digests: Sequence[Row]) -> RangeDigest:
    """Return the digest of all the ranges that `_columns` was kept of; there are thousands in a large index."""
    if not digests:
        return RangeDigest()
    texts, oldest, newest, positions = zip(*digests, strict=True)
    return RangeDigest(
        summed_digests(texts),
        min((version for version in oldest if version is not None), default=None),
        max(version or 0 for version in newest),
        Position(max(position or ORIGIN for position in positions)),
    )
