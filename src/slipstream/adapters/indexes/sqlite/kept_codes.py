"""The codes of all vectors, kept in the file: a matrix starts from them, and then follows the changes."""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from slipstream.adapters.indexes.sqlite.coding import CodedRows, VectorCodes, coded, sound_rows
from slipstream.adapters.sqlite.connections import Database
from slipstream.domain.errors import SlipstreamError

CHANGES_MIN = 8192
"""Codes are brought up to date after so many changes, which a matrix follows in a few hundredths of a second."""
_BLOCK_BITS = 12
"""A block holds the records whose ids differ in these last bits only."""

_BOUNDS = "SELECT (SELECT min(sequence) FROM changes), (SELECT max(sequence) FROM changes)"
_CHANGED = f"SELECT DISTINCT record >> {_BLOCK_BITS} FROM changes WHERE sequence > ? ORDER BY 1"  # noqa: S608
_ALL = f"SELECT id >> {_BLOCK_BITS} FROM records UNION SELECT block FROM codes ORDER BY 1"  # noqa: S608
_ROWS = """
SELECT r.space, s.dimension, r.id, r.entity_type, r.schema_version, v.vector
FROM records r JOIN spaces s ON s.id = r.space JOIN vectors v ON v.record = r.id
WHERE r.id >= ? AND r.id < ? ORDER BY r.space, r.id
"""


class KeptBlocks(NamedTuple):
    """The row of `coded`: the change that all blocks have reached at least, and the blocks with their checksums."""

    through: int | None
    blocks: dict[str, int]

    def row(self) -> tuple[int | None, str, int]:
        """Return the columns of the row, with a checksum of the others last."""
        blocks = json.dumps(self.blocks, sort_keys=True)
        return self.through, blocks, zlib.crc32(f"{self.through} {blocks}".encode())


_NOTHING = KeptBlocks(None, {})


def kept_blocks(connection: sqlite3.Connection) -> KeptBlocks:
    """Return the row of `coded`, an empty one when there is none or it is damaged."""
    row = connection.execute("SELECT sequence, blocks, checksum FROM coded").fetchone()
    if row is None:
        return _NOTHING
    try:
        found = KeptBlocks(row[0], json.loads(row[1]))
        return found if found.row() == row else _NOTHING
    except (ValueError, TypeError, AttributeError):
        return _NOTHING


class KeptCodes:
    """
    Keeps the table `codes`, block by block: a chore of the idle engine.

    The codes are only a cache: `coded` names a change that all blocks have reached at least, and loading them rereads
    every record that changed after it. So a block may be newer, and a pass that ends half-way does no harm.
    """

    is_due = False
    """Nobody waits for it."""

    def __init__(self, database: Database, changes_min: int = CHANGES_MIN) -> None:
        self._database, self._changes_min = database, changes_min
        self._left: list[int] = []
        self._through = 0

    def step(self) -> bool:
        """Bring one block up to date; False when there is nothing to do."""
        if not self._left and not self._begin():
            return False
        block = self._left[-1]
        first = block << _BLOCK_BITS
        with self._database.reading() as connection:
            rows = connection.execute(_ROWS, (first, first + (1 << _BLOCK_BITS))).fetchall()
        bodies = dict(_bodies(rows))
        with self._database.writing() as connection:
            self._write(connection, block, bodies)
        self._left.pop()
        return True

    def _begin(self) -> bool:
        """List the blocks that are behind, once enough has changed; False when there is nothing to do."""
        with self._database.reading() as connection:
            oldest, newest = connection.execute(_BOUNDS).fetchone()
            through = kept_blocks(connection).through
            if newest is None or 0 <= newest - (through or 0) < self._changes_min:
                return False
            is_known = is_followed(oldest, newest, through)
            found = connection.execute(_CHANGED, (through,)) if is_known else connection.execute(_ALL)
            self._left, self._through = [block for (block,) in found][::-1], newest
        return bool(self._left)

    def _write(self, connection: sqlite3.Connection, block: int, bodies: Mapping[int, bytes]) -> None:
        kept = kept_blocks(connection)
        others = {name: sum_ for name, sum_ in kept.blocks.items() if not name.endswith(f":{block}")}
        blocks = others | {f"{space}:{block}": checksum_of(body) for space, body in bodies.items()}
        connection.execute("DELETE FROM codes WHERE block = ?", (block,))
        connection.executemany(
            "INSERT INTO codes (space, block, body) VALUES (?, ?, ?)",
            [(space, block, body) for space, body in bodies.items()],
        )
        through = self._through if len(self._left) == 1 else kept.through
        connection.execute(
            "INSERT OR REPLACE INTO coded (id, sequence, blocks, checksum) VALUES (1, ?, ?, ?)",
            KeptBlocks(through, blocks).row(),
        )

    def finish(self, patience_s: float) -> None:
        """Bring blocks up to date for up to `patience_s`; an error ends this quietly, for codes are only a cache."""
        deadline = time.monotonic() + patience_s
        with suppress(SlipstreamError):
            while self._database.admits_writes and time.monotonic() < deadline and self.step():
                pass


def is_followed(oldest: int | None, newest: int | None, through: int | None) -> bool:
    """Return whether the change sequence still holds every change after `through`."""
    return through is not None and (oldest or 0) <= through + 1 <= (newest or 0) + 1


def kept_rows(connection: sqlite3.Connection, space: int, dimension: int) -> tuple[int, list[CodedRows]] | None:
    """Return the change that the kept codes have reached, and those of a space; None when they can not be used."""
    oldest, newest = connection.execute(_BOUNDS).fetchone()
    kept = kept_blocks(connection)
    if kept.through is None or not is_followed(oldest, newest, kept.through):
        return None
    wanted = {name: sum_ for name, sum_ in kept.blocks.items() if name.startswith(f"{space}:")}
    found: list[CodedRows] = []
    for block, body in connection.execute("SELECT block, body FROM codes WHERE space = ? ORDER BY block", (space,)):
        rows = unpacked(body, dimension) if wanted.pop(f"{space}:{block}", None) == checksum_of(body) else None
        if rows is None:
            return None
        found.append(rows)
    return None if wanted else (kept.through, found)


def checksum_of(body: bytes) -> int:
    """Return the checksum at the beginning of a block."""
    return int.from_bytes(body[:4], "big")


def _bodies(rows: list[tuple[int, int, int, str, int, bytes]]) -> Iterator[tuple[int, bytes]]:
    for space, of_space in groupby(rows, key=itemgetter(0)):
        whole = [row for row in of_space if len(row[5]) == row[1] * 4]
        if not whole:
            continue
        block = np.frombuffer(b"".join(row[5] for row in whole), "<f4").reshape(len(whole), whole[0][1])
        sound = sound_rows(block)
        kept = [row for row, is_sound in zip(whole, sound, strict=True) if is_sound]
        names: dict[str, int] = {}
        types = np.array([names.setdefault(row[3], len(names)) for row in kept], np.int32)
        ids, versions = (np.array([row[column] for row in kept], np.int64) for column in (2, 4))
        yield space, packed(CodedRows(ids, list(names), types, versions, coded(block[sound])))


def packed(rows: CodedRows) -> bytes:
    """Return the rows as bytes, with a checksum."""
    count, dimension = rows.rows.codes.shape
    head = json.dumps({"count": count, "dimension": dimension, "names": rows.names}).encode()
    arrays = (rows.ids, rows.types, rows.versions, rows.rows.scales, rows.rows.errors, rows.rows.codes)
    body = b"".join([head, b"\n", *(array.tobytes() for array in arrays)])
    return zlib.crc32(body).to_bytes(4, "big") + body


def unpacked(data: bytes, dimension: int) -> CodedRows | None:
    """Return the rows in bytes that `packed` made; None when these are damaged, or of another dimension."""
    body = memoryview(data)[4:]
    if zlib.crc32(body).to_bytes(4, "big") != data[:4]:
        return None
    start = data.index(b"\n", 4) + 1
    head = json.loads(data[4:start])
    count = head["count"]
    if head["dimension"] != dimension:
        return None
    columns = []
    for kind in ("<i8", "<i4", "<i8", "<f4", "<f4"):
        columns.append(np.frombuffer(data, kind, count, start))
        start += columns[-1].nbytes
    ids, types, versions, scales, errors = columns
    codes = np.frombuffer(data, np.int8, count * dimension, start).reshape(count, dimension)
    return CodedRows(ids, head["names"], types, versions, VectorCodes(codes, scales, errors))
