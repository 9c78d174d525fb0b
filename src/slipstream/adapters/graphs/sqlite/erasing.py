"""Erasing an entity from a graph file: its log entries, fences and sync state, and what SQLite has freed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager

from slipstream.adapters.graphs.sqlite.codec import readable_properties
from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.rehearsing import leave, taken_back
from slipstream.adapters.sqlite.wiping import wipe
from slipstream.domain.entities import Entity
from slipstream.domain.erasure import Erased, Overwritten, Swept

ERASED = "erased"
"""Name in `meta`: the position up to which log entries may have lost what they said."""
_OF_ENTITY = "SELECT position, source, target FROM change WHERE id = :id OR source = :id OR target = :id"
# Without texts an entry reads as one whose properties were too long to keep: that something changed, not what.
_ENTRY = "UPDATE change SET id = iif(id IS NULL, NULL, :mark), old = NULL, new = NULL WHERE position = :position"
_ENTRY_BETWEEN = """UPDATE change SET
    source = iif(source = :id, :mark, source), target = iif(target = :id, :mark, target),
    key = iif(key = '', '', :mark), old = NULL, new = NULL WHERE position = :position"""
_NOTE = """INSERT INTO meta VALUES (:name, (SELECT CAST(coalesce(max(position), 0) AS TEXT) FROM change))
    ON CONFLICT(name) DO UPDATE SET value = excluded.value"""
_FENCES = """SELECT space, name, key, event_id FROM fence
    WHERE key = :own OR instr(key, :part) OR instr(name, :id) OR instr(event_id, :id)"""
_MENTIONS = """SELECT position, CAST(old AS BLOB), CAST(new AS BLOB) FROM change
    WHERE id IN (SELECT value FROM json_each(?))"""
_TOLD = "SELECT CAST(old AS BLOB), CAST(new AS BLOB), type FROM change WHERE id = ? AND kind <> 's'"

Exclusive = Callable[[], AbstractContextManager[sqlite3.Connection]]


class SqliteGraphErasing:
    """A `GraphErasing` over the tables of a graph file. Made by `SqliteGraph`."""

    def __init__(self, database: Database, exclusive: Exclusive) -> None:
        self._database, self._exclusive = database, exclusive

    def told_of(self, entity_id: str) -> Sequence[Entity]:
        """Return the entity as its log entries tell of it, older versions first."""
        with self._database.reading() as connection:
            rows = connection.execute(_TOLD, (entity_id,)).fetchall()
        found = {(row[-1], text): None for row in rows for text in row[:2] if text is not None}
        return [Entity(entity_id, name, readable_properties(text, entity_id)) for name, text in found]

    def scrub(self, erased: Erased, *, rehearse: bool = False) -> Sequence[Swept]:
        """Empty the entity's log entries, and put marks into fences and event ids, in one transaction."""
        found: list[Swept] = []
        with taken_back(), self._exclusive() as connection:
            found += [
                _scrub_log(connection, erased),
                _scrub_sync_state(connection, erased),
                _scrub_fences(connection, erased),
                _scrub_event_ids(connection, erased),
            ]
            connection.execute(_NOTE, {"name": ERASED})
            if rehearse:
                leave()
        return found

    def scrub_mentions(self, erased: Erased, entity_ids: Collection[str]) -> Swept:
        """Empty log entries of other entities whose texts named the erased one."""
        with self._exclusive() as connection:
            rows = connection.execute(_MENTIONS, (json.dumps(sorted(entity_ids)),)).fetchall()
            told = [(at,) for at, *texts in rows if any(_names(erased, text) for text in texts)]
            connection.executemany("UPDATE change SET old = NULL, new = NULL WHERE position = ?", told)
        return Swept(place="change log: what neighbours said", searched=len(rows), removed=len(told))

    def wipe(self, erased: Erased) -> Sequence[Overwritten]:
        """Overwrite what is free in the file."""
        done = wipe(self._database.path, erased.sought)
        return [
            Overwritten(
                file=self._database.path.name,
                pages=done.pages,
                wiped_bytes=done.wiped_bytes,
                mentions_left=sum(done.left),
            )
        ]


def _scrub_log(connection: sqlite3.Connection, erased: Erased) -> Swept:
    (searched,) = connection.execute("SELECT count(*) FROM change").fetchone()
    rows = connection.execute(_OF_ENTITY, {"id": erased.entity_id}).fetchall()
    named = [{"id": erased.entity_id, "mark": erased.mark, "position": position} for position, *_ in rows]
    is_between = [source is not None or target is not None for _, source, target in rows]
    for values, between in zip(named, is_between, strict=True):
        connection.execute(_ENTRY_BETWEEN if between else _ENTRY, values)
    return Swept(place="change log", searched=searched, removed=len(rows))


def _scrub_sync_state(connection: sqlite3.Connection, erased: Erased) -> Swept:
    (searched,) = connection.execute("SELECT count(*) FROM sync_state").fetchone()
    gone = connection.execute("DELETE FROM sync_state WHERE entity_id = ?", (erased.entity_id,)).rowcount
    return Swept(place="sync view", searched=searched, removed=gone)


def _scrub_fences(connection: sqlite3.Connection, erased: Erased) -> Swept:
    """Put marks in place of names and keys: a late change of the feed is still known to be late."""
    (searched,) = connection.execute("SELECT count(*) FROM fence").fetchone()
    sought = {"id": erased.entity_id, "own": erased.key, "part": erased.id_in_relationships}
    changed = 0
    for space, name, key, event_id in connection.execute(_FENCES, sought).fetchall():
        is_own = erased.covers(key)
        if not is_own and not erased.is_told_in(name, event_id):
            continue
        changed += 1
        connection.execute(
            "UPDATE OR REPLACE fence SET name = ?, key = ?, event_id = ?, deleted = max(deleted, ?), unsent = NULL "
            "WHERE space = ? AND name = ?",
            (
                erased.marked(name),
                f"{key[:2]}{erased.marked(key)}" if is_own else key,
                erased.marked(event_id) if erased.is_told_in(event_id) else event_id,
                is_own,
                space,
                name,
            ),
        )
    return Swept(place="fences of feeds and sources", searched=searched, removed=changed)


def _scrub_event_ids(connection: sqlite3.Connection, erased: Erased) -> Swept:
    (searched,) = connection.execute("SELECT count(*) FROM once").fetchone()
    rows = connection.execute("SELECT event_id FROM once WHERE instr(event_id, ?)", (erased.entity_id,)).fetchall()
    told = [event_id for (event_id,) in rows if erased.is_told_in(event_id)]
    changes = [(erased.marked(event_id), event_id) for event_id in told]
    connection.executemany("UPDATE OR REPLACE once SET event_id = ? WHERE event_id = ?", changes)
    return Swept(place="event ids", searched=searched, removed=len(told))


def _names(erased: Erased, text: bytes | None) -> bool:
    if text is None:
        return False
    told = text.decode("utf-8", "replace")
    return erased.hidden_in(told) != told
