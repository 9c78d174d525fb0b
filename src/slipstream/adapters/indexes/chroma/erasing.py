"""Erasing an entity from an embedded Chroma: its log, the files of its vectors, and what SQLite has freed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Protocol

from slipstream.adapters.indexes.chroma.embedded import DATABASE, remove_segment, vector_segments, wipe_unused
from slipstream.adapters.sqlite.wiping import wipe
from slipstream.domain.erasure import BURIED_PREFIX, Erased, Overwritten, Swept, is_mark_of
from slipstream.domain.positions import ORIGIN, Position


class Buried(Protocol):
    """What the index lends: its tombstones and records, under its lock."""

    def tombstones_by_key(self) -> Mapping[str, Position]:
        """Return all tombstones."""
        ...

    def bury_by_marks(self, marks: Mapping[str, tuple[str, Position]]) -> None:
        """Replace tombstones, by key, by others of the same position."""
        ...

    def discard(self, keys: Sequence[str]) -> int:
        """Remove records that are still there; return how many."""
        ...


class Marks:
    """The tombstones of erased keys, which name a digest in place of the key."""

    def __init__(self) -> None:
        self._found: dict[str, Position] = {}

    def learn(self, tombstones: Mapping[str, Position]) -> None:
        """Take them from all tombstones."""
        self._found = {key: at for key, at in tombstones.items() if key.startswith(BURIED_PREFIX)}

    def of(self, key: str) -> tuple[str, Position] | None:
        """Return the tombstone of an erased key, None when it was not erased."""
        found = ((mark, at) for mark, at in self._found.items() if is_mark_of(mark[len(BURIED_PREFIX) :], key))
        return next(found, None)

    def forget(self, marks: Sequence[str]) -> None:
        """Forget those of keys that are in use again."""
        for mark in marks:
            self._found.pop(mark, None)


class ChromaErasing:
    """An `Erasing` of a directory. Made by `ChromaIndex`; `offline` closes its client for the time of a block."""

    def __init__(self, directory: Path, index: Buried, offline: Callable[[], AbstractContextManager[None]]) -> None:
        self._directory, self._index, self._offline = directory, index, offline

    def scrub(self, erased: Erased, *, rehearse: bool = False) -> Sequence[Swept]:
        """Put marks in place of tombstones' keys; remove what the log and the files of vectors say of the keys."""
        tombstones = self._index.tombstones_by_key()
        own = {key: at for key, at in tombstones.items() if erased.covers(key)}
        if not rehearse:
            kept = {erased.key: ORIGIN} | own
            self._index.discard(list(kept))
            self._index.bury_by_marks({key: (BURIED_PREFIX + erased.marked(key), at) for key, at in kept.items()})
        with self._offline():
            searched, logged = self._scrub_log(erased, rehearse=rehearse)
            segments = [each for each in vector_segments(self._directory) if _holds(each[0], logged | own.keys())]
            if not rehearse:
                for _, collection in segments:
                    remove_segment(self._directory, collection)
        return [
            Swept(place="Chroma: tombstones", searched=len(tombstones), removed=len(own)),
            Swept(place="Chroma: log", searched=searched, removed=len(logged), note="counted by key"),
            Swept(
                place="Chroma: files of vectors",
                searched=len(segments),
                removed=len(segments),
                note="built anew from the log, without it",
            ),
        ]

    def _scrub_log(self, erased: Erased, *, rehearse: bool) -> tuple[int, set[str]]:
        """Delete the entries of the log that are about its keys; the records that they made are gone already."""
        forms = (erased.key, erased.id_in_relationships)
        with closing(sqlite3.connect(self._directory / DATABASE)) as connection, connection:
            (searched,) = connection.execute("SELECT count(*) FROM embeddings_queue").fetchone()
            rows = connection.execute(
                "SELECT DISTINCT id FROM embeddings_queue WHERE id = ? OR instr(id, ?)", forms
            ).fetchall()
            gone = {key for (key,) in rows if erased.covers(key)}
            if not rehearse:
                delete = "DELETE FROM embeddings_queue WHERE id = ?"
                connection.executemany(delete, [(key,) for key in gone])
        return int(searched), gone

    def wipe(self, erased: Erased) -> Sequence[Overwritten]:
        """Overwrite what is free in the database."""
        with self._offline():
            done = wipe(self._directory / DATABASE, erased.sought)
        wipe_unused(self._directory)  # opening has made files for vectors that are not written yet
        name, left = f"{self._directory.name}/{DATABASE}", sum(done.left)
        return [Overwritten(file=name, pages=done.pages, wiped_bytes=done.wiped_bytes, mentions_left=left)]


def _holds(segment: Path, keys: set[str]) -> bool:
    """Whether the files of a collection's vectors name one of the keys."""
    if not segment.is_dir():
        return False
    names = [key.encode() for key in keys]
    found = (file.read_bytes() for file in segment.iterdir() if file.suffix == ".pickle")
    return any(name in data for data in found for name in names)
