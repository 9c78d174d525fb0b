"""Erasing an entity from the store's file: records, tombstones, journal, requests and what audits keep."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from slipstream.adapters.indexes.sqlite.audits import SqliteAudits
from slipstream.adapters.indexes.sqlite.journal import SqliteJournal
from slipstream.adapters.indexes.sqlite.kept_codes import KeptCodes
from slipstream.adapters.indexes.sqlite.values import put_value
from slipstream.adapters.indexes.sqlite.words import SqliteWords
from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.rehearsing import leave, taken_back
from slipstream.adapters.sqlite.wiping import wipe
from slipstream.domain.audits import Finding, Leaf
from slipstream.domain.erasure import BURIED_PREFIX, Erased, Overwritten, Swept
from slipstream.ports.erasing import Reseal

_KEYED = {"kept_terms": "digests of records", "doubted_keys": "keys in doubt", "findings": "findings of audits"}
_NOTHING_ASKED = json.dumps({"arguments": {}, "callbacks": []})
_CODES_PATIENCE_S = 60.0


class SqliteErasing:
    """An `Erasing` over the tables of the store. Made by `SqliteStore`; writes through the fence."""

    def __init__(self, database: Database, journal: SqliteJournal, audits: SqliteAudits, words: SqliteWords) -> None:
        self._database, self._journal, self._audits, self._words = database, journal, audits, words
        self._reseal: Reseal | None = None

    def scrub(self, erased: Erased, *, rehearse: bool = False) -> Sequence[Swept]:
        """Delete what is the entity's own, and put its mark where others name it, in one transaction."""
        found: list[Swept] = []
        with taken_back(), self._database.writing() as connection:
            changed = _audits_naming(connection, erased)
            found += [
                _scrub_records(connection, erased),
                _bury_by_marks(connection, erased),
                *(_delete_keyed(connection, erased, table, place) for table, place in _KEYED.items()),
                _scrub_work(connection, erased),
                _scrub_letters(connection, erased),
                _scrub_messages(connection, erased),
                _scrub_requests(connection, erased),
                self._scrub_reports(connection, erased, changed),
                _scrub_values(connection, erased),
                self._scrub_leaves(connection, erased),
                _move_segments(connection, erased),
                self._words.scrub(connection, erased),
            ]
            if rehearse:
                leave()
            self._journal.forget(erased)
        if not rehearse:  # blocks that still hold the codes of its vectors
            KeptCodes(self._database, changes_min=1).finish(_CODES_PATIENCE_S)
        return found

    def wipe(self, erased: Erased) -> Sequence[Overwritten]:
        """Overwrite what is free in the file."""
        done = wipe(self._database.path, erased.sought)
        name, left = self._database.path.name, sum(done.left)
        return [Overwritten(file=name, pages=done.pages, wiped_bytes=done.wiped_bytes, mentions_left=left)]

    def reseal_by(self, reseal: Reseal) -> None:
        """Have audits that a scrub changes signed anew."""
        self._reseal = reseal

    def _scrub_reports(self, connection: sqlite3.Connection, erased: Erased, changed: set[int]) -> Swept:
        """Clean reports, and sign those anew that are changed, or whose findings were."""
        rows = connection.execute("SELECT id, report FROM audits WHERE report <> ''").fetchall()
        told = [row for row in rows if row[0] in changed or erased.is_told_in(row[1])]
        for audit_id, report in told:
            before = json.loads(report)
            after = erased.cleaned(before)
            if self._reseal is not None:
                statement = "SELECT kind, key, type FROM findings WHERE audit = ? ORDER BY kind, key"
                left = [Finding(*row) for row in connection.execute(statement, (audit_id,))]
                after = self._reseal(before, after, left)
            connection.execute("UPDATE audits SET report = ? WHERE id = ?", (json.dumps(after), audit_id))
        return Swept(place="kept audits", searched=len(rows), removed=len(told))

    def _scrub_leaves(self, connection: sqlite3.Connection, erased: Erased) -> Swept:
        """Take its keys out of the leaves, also where one begins behind such a key."""
        searched = _count(connection, "leaves")
        rows = connection.execute(
            "SELECT after FROM leaves, json_each(?) WHERE instr(keys, value) OR instr(after, value) GROUP BY after",
            (json.dumps(_forms(erased)),),
        ).fetchall()
        changed = 0
        for leaf in self._audits.leaves([after for (after,) in rows]):
            kept = {key: term for key, term in leaf.terms.items() if not erased.covers(key)}
            begins_there = erased.covers(leaf.after)
            if len(kept) < len(leaf.terms) or begins_there:
                changed += 1
                after = _key_before(connection, "leaves", leaf.after) if begins_there else leaf.after
                self._audits.put_leaves([Leaf(after, kept)], remove=[leaf.after])
        return Swept(place="digest tree of audits", searched=searched, removed=changed)


def _scrub_records(connection: sqlite3.Connection, erased: Erased) -> Swept:
    """Delete records that are still there: of an entity that was deleted earlier, or by somebody else's write."""
    searched = _count(connection, "records")
    keys = _covered(connection, erased, "records")
    delete = "DELETE FROM records WHERE key = ? RETURNING id"
    ids = [row for key in keys for row in connection.execute(delete, (key,)).fetchall()]
    connection.executemany("DELETE FROM vectors WHERE record = ?", ids)
    connection.executemany("INSERT INTO changes (record) VALUES (?)", ids)
    return Swept(place="index records of all generations", searched=searched, removed=len(ids))


def _bury_by_marks(connection: sqlite3.Connection, erased: Erased) -> Swept:
    searched = _count(connection, "tombstones")
    keys = _covered(connection, erased, "tombstones")
    connection.executemany(
        "UPDATE OR REPLACE tombstones SET key = ? WHERE key = ?",
        [(BURIED_PREFIX + erased.marked(key), key) for key in keys],
    )
    return Swept(place="tombstones", searched=searched, removed=len(keys), note="a digest stays in place of the key")


def _delete_keyed(connection: sqlite3.Connection, erased: Erased, table: str, place: str) -> Swept:
    searched, keys = _count(connection, table), _covered(connection, erased, table)
    delete = f"DELETE FROM {table} WHERE key = ?"  # noqa: S608  (a name of ours)
    gone = connection.executemany(delete, [(key,) for key in keys]).rowcount if keys else 0
    return Swept(place=place, searched=searched, removed=gone)


def _scrub_work(connection: sqlite3.Connection, erased: Erased) -> Swept:
    own = _delete_keyed(connection, erased, "work", "work items")
    told = [
        (key,)
        for key, reason, error in connection.execute("SELECT key, reason, error FROM work").fetchall()
        if erased.is_told_in(reason, error)
    ]
    connection.executemany("UPDATE work SET reason = 'erased', error = NULL WHERE key = ?", told)
    return Swept(place=own.place, searched=own.searched, removed=own.removed + len(told))


def _scrub_letters(connection: sqlite3.Connection, erased: Erased) -> Swept:
    rows = connection.execute("SELECT id, key, error, payload FROM letters").fetchall()
    gone = [(row[0],) for row in rows if (row[1] and erased.covers(row[1])) or erased.is_told_in(*row)]
    connection.executemany("DELETE FROM letters WHERE id = ?", gone)
    return Swept(place="dead letters", searched=len(rows), removed=len(gone))


def _scrub_messages(connection: sqlite3.Connection, erased: Erased) -> Swept:
    rows = connection.execute("SELECT id, payload FROM messages").fetchall()
    gone = [(identity,) for identity, payload in rows if erased.is_told_in(payload)]
    connection.executemany("DELETE FROM messages WHERE id = ?", gone)
    return Swept(place="queued messages", searched=len(rows), removed=len(gone))


def _scrub_requests(connection: sqlite3.Connection, erased: Erased) -> Swept:
    """
    Delete answers that tell of the entity; empty what all other answered requests asked for.

    A request that still waits keeps its arguments, with the mark in place of the id: that of this very erasure too.
    """
    rows = connection.execute("SELECT id, arguments, progress, answer FROM requests").fetchall()
    removed = 0
    for identity, arguments, progress, answer in rows:
        if answer is not None and erased.is_told_in(answer):
            connection.execute("DELETE FROM requests WHERE id = ?", (identity,))
        elif answer is not None and arguments != _NOTHING_ASKED:
            connection.execute(
                "UPDATE requests SET arguments = ?, progress = NULL WHERE id = ?", (_NOTHING_ASKED, identity)
            )
        elif answer is None and erased.is_told_in(arguments, progress):
            connection.execute(
                "UPDATE requests SET arguments = ?, progress = NULL WHERE id = ?",
                (_cleaned_json(erased, arguments), identity),
            )
        else:
            continue
        removed += 1
    return Swept(place="requests and answers", searched=len(rows), removed=removed)


def _audits_naming(connection: sqlite3.Connection, erased: Erased) -> set[int]:
    """Return the audits that have findings of the entity's keys."""
    keys = _covered(connection, erased, "findings")
    statement = "SELECT DISTINCT audit FROM findings WHERE key = ?"
    return {audit for key in keys for (audit,) in connection.execute(statement, (key,))}


def _scrub_values(connection: sqlite3.Connection, erased: Erased) -> Swept:
    """Put the mark into the journal's values: cursors, plans, kept runs of quality."""
    rows = connection.execute("SELECT name, value FROM named_values").fetchall()
    removed = 0
    for name, value in rows:
        if erased.is_told_in(name):  # the progress of something that is named after the entity
            connection.execute("DELETE FROM named_values WHERE name = ?", (name,))
        elif erased.is_told_in(value):
            put_value(connection, name, _cleaned_json(erased, value))
        else:
            continue
        removed += 1
    return Swept(place="values of the journal, and kept runs of quality", searched=len(rows), removed=removed)


def _move_segments(connection: sqlite3.Connection, erased: Erased) -> Swept:
    """Have segments that begin behind a key of the entity begin behind the record before it: they hold the same."""
    searched = _count(connection, "segments")
    rows = connection.execute(
        "SELECT DISTINCT after FROM segments, json_each(?) WHERE instr(after, value)", (json.dumps(_forms(erased)),)
    ).fetchall()
    moved = [after for (after,) in rows if erased.covers(after)]
    for after in moved:
        connection.execute("DELETE FROM segments WHERE after = ?", (after,))
        connection.execute(
            "UPDATE segments SET digests = NULL, writes = writes + 1 "
            "WHERE after = (SELECT max(after) FROM segments WHERE after < ?)",
            (after,),
        )
    return Swept(place="digests of key ranges", searched=searched, removed=len(moved))


def _key_before(connection: sqlite3.Connection, table: str, after: str) -> str:
    """Return a bound below `after`, and above that of the row before: its last key, or a text just below."""
    row = connection.execute(f"SELECT max(after), keys FROM {table} WHERE after < ?", (after,)).fetchone()  # noqa: S608
    keys = [key for key in json.loads(row[1]) if key < after] if row[1] else []
    return str(keys[-1]) if keys and keys[-1] > row[0] else str(row[0])


def _covered(connection: sqlite3.Connection, erased: Erased, table: str) -> list[str]:
    """Return the entity's own keys in a table, and those of its relationships."""
    found = connection.execute(
        f"SELECT DISTINCT key FROM {table} WHERE key = ? OR (key > 'r:' AND key < 's' AND instr(key, ?))",  # noqa: S608
        (erased.key, erased.id_in_relationships),
    ).fetchall()
    return [key for (key,) in found if erased.covers(key)]


def _forms(erased: Erased) -> list[str]:
    """Return how the id stands in keys, as they are and as JSON."""
    forms = [erased.entity_id, erased.id_in_relationships]
    return list(dict.fromkeys([*forms, *(json.dumps(form)[1:-1] for form in forms)]))


def _cleaned_json(erased: Erased, text: str) -> str:
    try:
        return json.dumps(erased.cleaned(json.loads(text)))
    except ValueError:
        return erased.without(text)


def _count(connection: sqlite3.Connection, table: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  (a name of ours)
    return int(count)
