"""Records gathered by key on disk, in little memory: what is scattered over a file comes out together."""

from __future__ import annotations

import errno
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipstream.domain.errors import DiskFullError

_FILE_BITS = 6
_FILES = 1 << _FILE_BITS
_BUFFERED_MAX = 40_000
_SIZE_BYTES_MAX = 24 * 1024 * 1024
"""Of one file, which is read as a whole: of a larger one, buckets of its own are made."""
_DEPTH_MAX = 4
"""Other bits of the key's checksum at each depth."""

Record = list[Any]
Groups = dict[str, list[Record]]


class Buckets:
    """
    Records whose first item is their key.

    A key's records come out together, in the order in which they were added; keys in an order that is the same for
    the same records. Records are JSON lists. Raises `DiskFullError` when there is no room.
    """

    def __init__(self, folder: Path, depth: int = 0) -> None:
        folder.mkdir()
        self._folder, self._depth = folder, depth
        self._shift = depth * _FILE_BITS
        self._buffers: list[list[Record]] = [[] for _ in range(_FILES)]
        self._buffered = 0
        self.count = 0

    def buffer_of(self, key: str) -> list[Record]:
        """Return the list to which records of a key are appended before the next `flush_if_full`."""
        return self._buffers[zlib.crc32(key.encode()) >> self._shift & _FILES - 1]

    def add(self, record: Record) -> None:
        """Keep a record."""
        self.buffer_of(record[0]).append(record)
        self.flush_if_full(1)

    def flush_if_full(self, added: int) -> None:
        """Count records that were appended, and write what is in memory when it is much."""
        self.count += added
        self._buffered += added
        if self._buffered >= _BUFFERED_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory."""
        try:
            for number, buffer in enumerate(self._buffers):
                if buffer:
                    with self._path(number).open("a", encoding="utf-8") as file:
                        file.write(json.dumps(buffer, ensure_ascii=False, check_circular=False) + "\n")
                    buffer.clear()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            room = "free some, or name another folder by the environment variable TMPDIR"
            raise DiskFullError(f"there is no room in {self._folder} to sort what is imported: {room}") from error
        self._buffered = 0

    def groups(self) -> Iterator[Groups]:
        """Yield all records by key, some keys at a time."""
        self.flush()
        for number in range(_FILES):
            path = self._path(number)
            if not path.exists():
                continue
            if path.stat().st_size > _SIZE_BYTES_MAX and self._depth < _DEPTH_MAX:
                yield from self._divided(path).groups()
            else:
                yield _gathered(path)

    def _divided(self, path: Path) -> Buckets:
        folder = path.with_suffix(".parts")
        if folder.exists():
            return _Written(folder, self._depth + 1)
        parts = Buckets(folder, self._depth + 1)
        for record in _records(path):
            parts.add(record)
        parts.flush()
        return parts

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:02}.jsonl"


class _Written(Buckets):
    """Buckets that were written before, to be read again."""

    def __init__(self, folder: Path, depth: int) -> None:
        self._folder, self._depth = folder, depth
        self._buffers, self._buffered, self.count = [], 0, 0


def _records(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield from json.loads(line)


def _gathered(path: Path) -> Groups:
    groups: Groups = {}
    for record in _records(path):
        groups.setdefault(record[0], []).append(record)
    return groups
