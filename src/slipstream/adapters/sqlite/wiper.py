"""
The child process that overwrites what SQLite has freed in one file; started by `wiping`, on standard Python alone.

SQLite leaves old bytes behind: in pages of the free list, between the cells of pages, behind the end of long values,
in the write-ahead log. None of them is ever read again, so zeros there change nothing, also for programs that read
meanwhile, and dying half-way does no harm. They are written past SQLite, which has no call for it, while this process
holds the right to write and the log is empty: so no page of the file has a newer version elsewhere. The commit at the
end has all other connections forget the pages that they hold, old bytes included.

A process of its own, for closing a file releases all locks that SQLite holds on it in that process.
"""

from __future__ import annotations

import json
import mmap
import os
import sqlite3
import struct
import sys
import time
from pathlib import Path

BUSY, UNKNOWN_FORM = 75, 65
"""Exit codes: others did not let go of the file; its form is none that is known here."""
_PAUSE_S = 0.01
_PAGES_MAX = 1 << 25
"""With fewer pages no page number begins with a byte that marks a page of a tree."""
_LEAF_TABLE, _LEAF_INDEX, _INNER_TABLE, _INNER_INDEX = 13, 10, 5, 2
_HEADS = {_LEAF_TABLE: 8, _LEAF_INDEX: 8, _INNER_TABLE: 12, _INNER_INDEX: 12}
_tree_head = struct.Struct(">BHHH")
_number = struct.Struct(">I")


class Pages:
    """The pages of a file, mapped; `wiped` counts the bytes that were not zero."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        (size,) = struct.unpack_from(">H", data, 16)
        self.size = 65536 if size == 1 else size
        self.count = len(data) // self.size
        self.usable = self.size - data[20]
        if self.count >= _PAGES_MAX or self._number_at(52):  # or one that moves pages about (auto_vacuum)
            raise ValueError("a file of this form is not overwritten")
        self.wiped = 0

    def wipe(self) -> None:
        """Overwrite everything that is in no use; not in the first page, which holds the names of tables only."""
        free = self._wipe_free_pages()
        ends = self._wipe_trees(free)
        for page, used in ends.items():
            self._zero(page * self.size + 4 + used, (page + 1) * self.size)

    def _number_at(self, at: int) -> int:
        return int(_number.unpack_from(self.data, at)[0])

    def _zero(self, start: int, end: int) -> None:
        if end > start:
            before = self.data[start:end]
            kept = before.count(0)
            if kept != end - start:
                self.data[start:end] = bytes(end - start)
                self.wiped += end - start - kept

    def _wipe_free_pages(self) -> set[int]:
        """Overwrite the pages of the free list, and return them, counted from zero."""
        found: set[int] = set()
        trunk = self._number_at(32)
        while trunk:
            page = trunk - 1
            if page in found or page >= self.count:
                raise ValueError("the free list is damaged")
            found.add(page)
            at = page * self.size
            trunk, leaves = self._number_at(at), self._number_at(at + 4)
            for number in struct.unpack_from(f">{leaves}I", self.data, at + 8):
                found.add(number - 1)
                self._zero((number - 1) * self.size, number * self.size)
            self._zero(at + 8 + 4 * leaves, at + self.size)
        return found

    def _wipe_trees(self, free: set[int]) -> dict[int, int]:
        """Overwrite what is free inside the pages of trees; return the last pages of long values, and their use."""
        ends: dict[int, int] = {}
        for page in range(self.count):
            at = page * self.size + (100 if page == 0 else 0)
            kind = self.data[at]
            if kind not in _HEADS or page in free:
                continue
            _, freed, cells, content = _tree_head.unpack_from(self.data, at)
            pointers_end = at + _HEADS[kind] + 2 * cells
            base = page * self.size
            if page:
                self._zero(pointers_end, base + (content or 65536))
                self._wipe_freed(base, freed)
            if kind != _INNER_TABLE:
                pointers = struct.unpack_from(f">{cells}H", self.data, pointers_end - 2 * cells)
                self._find_ends(base, kind, pointers, ends)
        return ends

    def _wipe_freed(self, base: int, freed: int) -> None:
        while freed:
            following, length = struct.unpack_from(">HH", self.data, base + freed)
            if length < 4 or freed + length > self.size or (following and following <= freed):
                raise ValueError("a page is damaged")
            self._zero(base + freed + 4, base + freed + length)
            freed = following

    def _find_ends(self, base: int, kind: int, pointers: tuple[int, ...], ends: dict[int, int]) -> None:
        """Note where the values end that do not fit into their cells."""
        is_table = kind == _LEAF_TABLE
        inside_max = self.usable - 35 if is_table else (self.usable - 12) * 64 // 255 - 23
        inside_min = (self.usable - 12) * 32 // 255 - 23
        skipped = 4 if kind == _INNER_INDEX else 0
        # The first byte of a length tells whether it can be a long one: 128 or more, and its highest bits.
        least = 0x80 | min(0x7F, (inside_max + 1) >> 7)
        data = self.data
        for pointer in pointers:
            at = base + pointer + skipped
            if data[at] < least:
                continue
            length, at = self._varint(at)
            if length <= inside_max:
                continue
            if is_table:
                _, at = self._varint(at)
            inside = inside_min + (length - inside_min) % (self.usable - 4)
            inside = inside if inside <= inside_max else inside_min
            page, used = self._end_of(self._number_at(at + inside), length - inside)
            ends[page] = used

    def _end_of(self, number: int, left: int) -> tuple[int, int]:
        """Follow a long value to its last page; return that, and how much of it is in use."""
        while left > self.usable - 4:
            number, left = self._number_at((number - 1) * self.size), left - (self.usable - 4)
        if not 1 <= number <= self.count or self._number_at((number - 1) * self.size):
            raise ValueError("a long value is damaged")
        return number - 1, left

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for place in range(9):
            byte = self.data[at + place]
            if place == 8:
                return value << 8 | byte, at + 9
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value, at + place + 1
        raise AssertionError


def _begin(connection: sqlite3.Connection, path: Path, deadline: float) -> bool:
    """Hold the right to write, with nothing in the write-ahead log; False when others did not let go in time."""
    log = path.with_name(f"{path.name}-wal")
    while time.monotonic() < deadline:
        (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not is_busy:
            connection.execute("BEGIN EXCLUSIVE")  # beside a write-ahead log this keeps out writers only
            if not log.exists() or log.stat().st_size == 0:
                return True
            connection.execute("ROLLBACK")
        time.sleep(_PAUSE_S)
    return False


def wipe_file(path: Path, timeout_s: float, sought: list[bytes]) -> dict[str, object]:
    """Overwrite what is free in a file; return how much, and how often the `sought` texts still stand in it."""
    descriptor = os.open(path, os.O_RDWR)  # never closed before SQLite has closed the file
    connection = sqlite3.connect(path, timeout=timeout_s, isolation_level=None)
    try:
        if not _begin(connection, path, time.monotonic() + timeout_s):
            raise TimeoutError
        with mmap.mmap(descriptor, 0) as data:
            pages = Pages(data)
            pages.wipe()
            data.flush()
            left = [_count(data, text) for text in sought]
            found: dict[str, object] = {"pages": pages.count, "wiped": pages.wiped, "left": left}
        os.fsync(descriptor)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {int(version)}")  # a commit: others forget the pages they hold
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.close()
    return found


def _count(data: mmap.mmap, text: bytes) -> int:
    count, at = 0, data.find(text)
    while at >= 0:
        count, at = count + 1, data.find(text, at + len(text))
    return count


def main() -> int:
    """Read one request as JSON, and answer it so."""
    asked = json.load(sys.stdin)
    try:
        found = wipe_file(Path(asked["path"]), float(asked["timeout_s"]), [bytes.fromhex(t) for t in asked["sought"]])
    except (TimeoutError, sqlite3.OperationalError) as error:
        sys.stderr.write(f"{error}\n")
        return BUSY
    except (ValueError, struct.error, IndexError) as error:
        sys.stderr.write(f"{error}\n")
        return UNKNOWN_FORM
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
