"""The vector index in the store's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from slipstream.adapters.indexes.sqlite.codec import (
    STAMP_COLUMNS,
    Row,
    blob_vector,
    insert_rows,
    readable_stamps,
    select_in,
    stamp_row,
    vector_blobs,
)
from slipstream.adapters.indexes.sqlite.following import FollowingMatrix, Matrices
from slipstream.adapters.indexes.sqlite.held import read_page
from slipstream.adapters.indexes.sqlite.segments import Segments
from slipstream.adapters.sqlite.connections import Database
from slipstream.domain.digests import KeyRange, RangeDigest
from slipstream.domain.erasure import BURIED_PREFIX, MARK_AFTER, MARK_PREFIX, is_mark_of
from slipstream.domain.errors import UnavailableError
from slipstream.domain.held import HeldPage
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import (
    Deletion,
    KeyStamps,
    SearchFilter,
    Stamp,
    Vector,
    VectorHit,
    VectorRecord,
    checked_query,
)
from slipstream.ports.index import IndexCapabilities

_CHANGES_KEPT = 100_000
"""How many changes are kept; a matrix that is further behind loads everything anew."""

_COLUMNS = ", ".join(STAMP_COLUMNS)
# Many rows in a statement: SQLite then works on a whole batch without taking Python's lock for each row.
_UPSERT = f"""
INSERT INTO records ({_COLUMNS}) SELECT * FROM ({{rows}}) AS new
WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE key = new.column1 AND position > new.column3)
ON CONFLICT (key, space) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in STAMP_COLUMNS[2:])}
WHERE excluded.position >= records.position
RETURNING key, space, position, id
"""  # noqa: S608  (names of columns, no values)
_PUT_VECTOR = """
INSERT INTO vectors (record, vector) {rows} ON CONFLICT (record) DO UPDATE SET vector = excluded.vector
"""
_NOTE = "INSERT INTO changes (record) {rows}"
_RESTAMPED = {
    # A record that is flagged to be embedded anew stays flagged, with the newest reason.
    "needs_reembedding": "max(needs_reembedding, :needs_reembedding)",
    "reembedding_reason": "CASE WHEN needs_reembedding THEN coalesce(:reembedding_reason, reembedding_reason) "
    "ELSE :reembedding_reason END",
}
_RESTAMP = f"""
UPDATE records SET {", ".join(f"{name} = {_RESTAMPED.get(name, f':{name}')}" for name in STAMP_COLUMNS[2:])}
WHERE key = :key AND space = :space AND fingerprint = :fingerprint AND checksum = :checksum AND position <= :position
RETURNING id
"""  # noqa: S608  (names of columns, no values)
_BURY = """
INSERT INTO tombstones (key, position) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM records WHERE key = ?)
ON CONFLICT (key) DO UPDATE SET position = max(position, excluded.position)
"""
# A tombstone whose id is not a key buries nothing.
_BURIED = """
SELECT key FROM tombstones WHERE position > ? AND key > ? AND key GLOB '[er]:?*' ORDER BY key LIMIT ?
"""
_MARKS = f"""
SELECT key, position FROM tombstones
WHERE key >= '{BURIED_PREFIX}{MARK_PREFIX}' AND key < '{BURIED_PREFIX}{MARK_AFTER}'
"""  # noqa: S608  (our own text)
_VECTORS = """
SELECT r.key, v.vector FROM records r JOIN vectors v ON v.record = r.id WHERE r.key IN ({}) AND r.space = ?
"""


class SqliteIndex:
    """A `VectorIndex` over the tables `records`, `vectors` and `tombstones`. Made by `SqliteStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._matrices = Matrices()
        self._closed = False

    @property
    def capabilities(self) -> IndexCapabilities:
        """Exact and durable, for many processes, in transactions shared with the journal."""
        return IndexCapabilities(transactional=True, exact=True, durable=True, system="sqlite")

    def _require_open(self) -> None:
        if self._closed:
            raise UnavailableError(f"the index in {self._database.path} is closed; open the store anew")

    # ------------------------------------------------------------------ writes

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write records in one transaction, fenced by the statement itself; returns the fenced keys."""
        self._require_open()
        if not records:
            return []
        blobs = vector_blobs(records)
        with self._database.writing() as connection:
            if late := _late(connection, records):
                return [*late, *self.upsert([record for record in records if record.stamp.key not in late])]
            numbers = _numbers(connection, records)
            rows = [stamp_row(record.stamp, number) for record, number in zip(records, numbers, strict=True)]
            stored = {row[:3]: row[3] for row in insert_rows(connection, _UPSERT, rows)}  # without the fenced ones
            written = [(stored.get(row[:3]), blob) for row, blob in zip(rows, blobs, strict=True)]
            accepted = written if len(stored) == len(rows) else [row for row in written if row[0] is not None]
            insert_rows(connection, _PUT_VECTOR, accepted)
            _forget_tombstones(connection, rows)
            _note_changes(connection, [number for number, _ in accepted])
        if accepted is written:
            return []
        return [record.stamp.key for record, (number, _) in zip(records, written, strict=True) if number is None]

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Remove keys in one transaction, in the order given; returns the fenced keys."""
        self._require_open()
        fenced: dict[RecordKey, None] = {}
        removed: list[int] = []
        with self._database.writing() as connection:
            spaces = {space: number for number, space in _spaces(connection).items()}
            for deletion in deletions:
                if deletion.space is None:
                    ids, accepted = _delete_everywhere(connection, deletion)
                else:
                    ids, accepted = _delete_in(connection, deletion, spaces.get(deletion.space, -1))
                removed.extend(ids)
                if not accepted:
                    fenced[deletion.key] = None
            connection.executemany("DELETE FROM vectors WHERE record = ?", ((record,) for record in removed))
            _note_changes(connection, removed)
        return list(fenced)

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Replace stamps in one transaction; the vectors' pages are not touched."""
        self._require_open()
        if not stamps:
            return
        with self._database.writing() as connection:
            spaces = {space: number for number, space in _spaces(connection).items()}
            changed: list[int] = []
            for stamp in stamps:
                row = stamp_row(stamp, spaces.get(stamp.space, -1))
                found = connection.execute(_RESTAMP, dict(zip(STAMP_COLUMNS, row, strict=True))).fetchall()
                changed.extend(record for (record,) in found)
            _note_changes(connection, changed)

    def vacuum(self, through: Position) -> int:
        """Forget tombstones up to and including the position; returns how many."""
        self._require_open()
        with self._database.writing() as connection:
            return connection.execute("DELETE FROM tombstones WHERE position <= ?", (through,)).rowcount

    # ------------------------------------------------------------------ reads

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """Return what is held of the keys, all of one snapshot, the records of each ordered by space."""
        self._require_open()
        wanted = {key.encode(): key for key in keys}
        records: dict[RecordKey, list[Stamp]] = {}
        with self._database.reading() as connection:
            spaces = _spaces(connection)
            query = f"SELECT {_COLUMNS} FROM records WHERE key IN ({{}})"  # noqa: S608  (names of columns)
            for stamp in readable_stamps(select_in(connection, query, wanted), spaces, wanted):
                records.setdefault(stamp.key, []).append(stamp)
            tombstones: dict[str, Position] = {}
            if _has_tombstones(connection):
                tombstones = {key: Position(at) for key, (_, at) in _marked(connection, wanted).items()}
                query = "SELECT key, position FROM tombstones WHERE key IN ({})"
                tombstones |= dict(select_in(connection, query, wanted))
        held = {key: KeyStamps(_by_space(stamps)) for key, stamps in records.items()}
        for text, position in tombstones.items():
            key = wanted[text]
            held[key] = KeyStamps(held[key].records if key in held else (), position)
        return held

    def buried(self, past: Position, after: RecordKey | None, limit: int) -> Sequence[RecordKey]:
        """Return keys whose tombstone is newer than a position, in key order."""
        self._require_open()
        bound = "" if after is None else after.encode()
        with self._database.reading() as connection:
            rows = connection.execute(_BURIED, (past, bound, max(limit, 0))).fetchall()
        return [RecordKey.decode(key) for (key,) in rows]

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """Return stamps in the order of (key, space), the last key whole, all of one snapshot."""
        self._require_open()
        bound = "" if after is None else after.encode()
        with self._database.reading() as connection:
            spaces = _spaces(connection)
            rows = _page(connection, bound, limit)
            stamps = readable_stamps(rows, spaces)
            while rows and not stamps:  # an empty page would mean the end
                rows = _page(connection, rows[-1][0], limit)
                stamps = readable_stamps(rows, spaces)
        if len(spaces) > 1:  # with one space they come in this order
            stamps.sort(key=lambda stamp: (stamp.key.encode(), stamp.space))
        return stamps

    def contents(self, after: str, limit: int) -> HeldPage:
        """Return a page of records with their vectors, by one statement."""
        self._require_open()
        with self._database.reading() as connection:
            return read_page(connection, _spaces(connection), after, limit)

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        """Return the digests of ranges in one snapshot; reads only what was written since the last call."""
        self._require_open()
        with self._database.reading() as connection:
            segments = Segments(connection, _spaces(connection))
            found = [segments.digest(bounds) for bounds in ranges]
        if segments.has_news and self._database.admits_writes:  # a guest leaves this to the owner
            with self._database.writing() as connection:
                segments.keep(connection)
        return found

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        """Return the stored vectors as they are, damaged ones too."""
        self._require_open()
        wanted = {key.encode(): key for key in keys}
        with self._database.reading() as connection:
            number = _space_number(connection, space)
            return {wanted[key]: blob_vector(blob) for key, blob in select_in(connection, _VECTORS, wanted, number)}

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        """Search the matrix of the space, brought up to date first."""
        self._require_open()
        query = checked_query(vector, space.dimension)
        with self._database.reading() as connection:
            number = _space_number(connection, space)
        if number is None or k <= 0:
            return []
        if self._database.in_transaction:
            matrix = FollowingMatrix(number, space.dimension)  # uncommitted changes must not reach the shared one
        else:
            matrix = self._matrices.of(number, space.dimension)
        with self._database.reading() as connection:
            with matrix.lock:
                matrix.catch_up(connection)
                nearest = dict(matrix.nearest(connection, query, k, where))
            rows = list(select_in(connection, f"SELECT {_COLUMNS}, id FROM records WHERE id IN ({{}})", nearest))  # noqa: S608
        shown = {row[0]: nearest[row[-1]] for row in rows}
        hits = [VectorHit(stamp, shown[stamp.key.encode()]) for stamp in readable_stamps(rows, {number: space})]
        hits.sort(key=lambda hit: (-hit.score, hit.stamp.key.encode()))
        return hits[:k]

    def warm(self, space: Space) -> None:
        """Load the matrix of the space, or bring it up to date."""
        self._require_open()
        with self._database.reading() as connection:
            number = _space_number(connection, space)
        if number is not None:
            matrix = self._matrices.of(number, space.dimension)
            with matrix.lock, self._database.reading() as connection:
                matrix.catch_up(connection)

    def close(self) -> None:
        """Free the matrices; the file is closed by the store. Closing twice is harmless."""
        self._closed = True
        self._matrices.clear()


def _spaces(connection: sqlite3.Connection) -> dict[int, Space]:
    rows = connection.execute("SELECT id, model_id, model_version, dimension, generation FROM spaces")
    return {number: Space(*identity) for number, *identity in rows}


def _space_number(connection: sqlite3.Connection, space: Space) -> int | None:
    row = connection.execute(
        "SELECT id FROM spaces WHERE (model_id, model_version, dimension, generation) = (?, ?, ?, ?)",
        (space.model_id, space.model_version, space.dimension, space.generation),
    ).fetchone()
    return None if row is None else int(row[0])


def _ensure_spaces(connection: sqlite3.Connection, spaces: Iterable[Space]) -> dict[Space, int]:
    known = {space: number for number, space in _spaces(connection).items()}
    for space in sorted({space for space in spaces if space not in known}):
        cursor = connection.execute(
            "INSERT INTO spaces (model_id, model_version, dimension, generation) VALUES (?, ?, ?, ?)",
            (space.model_id, space.model_version, space.dimension, space.generation),
        )
        known[space] = int(cursor.lastrowid or 0)
    return known


def _numbers(connection: sqlite3.Connection, records: Sequence[VectorRecord]) -> list[int]:
    """Return the number of each record's space; a batch has few spaces, mostly the very same object."""
    held_in = {id(space): space for record in records for space in (record.stamp.space,)}
    known = _ensure_spaces(connection, held_in.values())
    numbers = {identity: known[space] for identity, space in held_in.items()}
    return [numbers[id(record.stamp.space)] for record in records]


def _forget_tombstones(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Remove the tombstones that are not newer than the records; a fenced record is older than its tombstone."""
    if _has_tombstones(connection):
        revived = ((row[0], row[2]) for row in rows)
        connection.executemany("DELETE FROM tombstones WHERE key = ? AND position <= ?", revived)


def _has_tombstones(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM tombstones LIMIT 1").fetchone() is not None


def _marked(connection: sqlite3.Connection, keys: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return, by key, the tombstones of erased keys, which name a digest in place of the key."""
    rows = connection.execute(_MARKS).fetchall()
    found = ((key, mark, at) for mark, at in rows for key in keys if is_mark_of(mark[len(BURIED_PREFIX) :], key))
    return {key: (mark, at) for key, mark, at in found}


def _late(connection: sqlite3.Connection, records: Sequence[VectorRecord]) -> set[RecordKey]:
    """Return the keys that an erasure fences off, and forget the digests of those that it does not."""
    if not _has_tombstones(connection):
        return set()
    by_key = {record.stamp.key.encode(): record.stamp for record in records}
    marked = _marked(connection, by_key)
    revived = [(mark,) for key, (mark, at) in marked.items() if by_key[key].position >= at]
    connection.executemany("DELETE FROM tombstones WHERE key = ?", revived)
    return {by_key[key].key for key, (_, at) in marked.items() if by_key[key].position < at}


def _by_space(stamps: Sequence[Stamp]) -> tuple[Stamp, ...]:
    return tuple(stamps if len(stamps) == 1 else sorted(stamps, key=lambda stamp: stamp.space))


def _delete_everywhere(connection: sqlite3.Connection, deletion: Deletion) -> tuple[list[int], bool]:
    key = deletion.key.encode()
    removed = connection.execute(
        "DELETE FROM records WHERE key = ? AND position <= ? RETURNING id", (key, deletion.position)
    ).fetchall()
    buried = connection.execute(_BURY, (key, deletion.position, key)).rowcount
    return [record for (record,) in removed], buried > 0


def _delete_in(connection: sqlite3.Connection, deletion: Deletion, space: int) -> tuple[list[int], bool]:
    key = deletion.key.encode()
    removed = connection.execute(
        "DELETE FROM records WHERE key = ? AND space = ? AND position <= ? RETURNING id",
        (key, space, deletion.position),
    ).fetchall()
    newer = connection.execute("SELECT 1 FROM records WHERE key = ? AND space = ?", (key, space)).fetchone()
    return [record for (record,) in removed], newer is None


def _note_changes(connection: sqlite3.Connection, records: Iterable[int | None]) -> None:
    """Append to the change sequence that matrices follow, and cut its tail now and then."""
    rows = [(record,) for record in records]
    (before,) = connection.execute("SELECT max(sequence) FROM changes").fetchone()
    insert_rows(connection, _NOTE, rows)
    step = max(1, _CHANGES_KEPT // 64)
    if before is not None and before // step == (before + len(rows)) // step:
        return  # cut only now and then
    oldest, newest = connection.execute(
        "SELECT (SELECT min(sequence) FROM changes), (SELECT max(sequence) FROM changes)"
    ).fetchone()
    if newest is not None and newest - oldest > 2 * _CHANGES_KEPT:
        connection.execute("DELETE FROM changes WHERE sequence <= ?", (newest - _CHANGES_KEPT,))


def _page(connection: sqlite3.Connection, bound: str, limit: int) -> list[Row]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM records WHERE key > ? ORDER BY key LIMIT ?",  # noqa: S608  (names of columns)
        (bound, limit),
    ).fetchall()
    if len(rows) < limit:
        return rows
    last = rows[-1][0]
    whole = connection.execute(f"SELECT {_COLUMNS} FROM records WHERE key = ?", (last,))  # noqa: S608  (as above)
    return [row for row in rows if row[0] != last] + whole.fetchall()
