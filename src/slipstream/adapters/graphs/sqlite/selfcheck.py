"""
The self-check of a graph file: what its triggers promise, checked row by row.

Entities and relationships are never mended: nobody knows what they were. The log, its numbers and the schema's
places in it are mended, since they are derived, and a rescan has everything compared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from slipstream.adapters.graphs.sqlite.codec import KINDS, RESCAN, SCHEMA
from slipstream.adapters.graphs.sqlite.layout import UNSOUND
from slipstream.adapters.graphs.sqlite.opening import mend, what_is_wrong
from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.selfcheck import Kept, Rule, SqliteSelfCheck
from slipstream.domain.positions import POSITION_MAX

_RESCAN = f"INSERT INTO change(kind) VALUES ('{RESCAN}')"  # noqa: S608  (our own text, as all of this file)
_HEAD = f"(SELECT coalesce(max(position), 0) FROM change WHERE position <= {POSITION_MAX})"  # noqa: S608
_TRIMMED = "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'trimmed'), 0)"
_KNOWN_KINDS = ", ".join(f"'{kind}'" for kind in (*KINDS, RESCAN, SCHEMA))
_NAMED = "typeof(type) <> 'text' OR type = '' OR "
_NAMELESS = f"""CASE
    WHEN kind IN ('+e', '~e', '-e') THEN {_NAMED} typeof(id) <> 'text' OR id = ''
    WHEN kind IN ('+r', '~r', '-r') THEN {_NAMED} typeof(source) <> 'text' OR source = '' OR typeof(target) <> 'text'
        OR target = '' OR typeof(key) <> 'text'
    ELSE 0 END"""
_TELLS_VERSION = "c.kind = 's' AND CAST(c.new AS TEXT) = CAST(schema_version.version AS TEXT)"
_MISPLACED = f"""typeof(position) <> 'integer' OR position < 1 OR position > {_HEAD} OR (position > {_TRIMMED}
    AND NOT EXISTS(SELECT 1 FROM change AS c WHERE c.position = schema_version.position AND {_TELLS_VERSION}))"""  # noqa: S608
_OF_NOBODY = f"""kind NOT IN ({_KNOWN_KINDS}) OR {_NAMELESS} OR (kind = 's' AND NOT EXISTS(
    SELECT 1 FROM schema_version AS v WHERE CAST(v.version AS TEXT) = CAST(change.new AS TEXT)))"""  # noqa: S608
_SPOILT = "old IS NOT NULL AND NOT json_valid(old) OR new IS NOT NULL AND NOT json_valid(new) AND kind <> 's'"
_GAPS = f"""SELECT position AS behind FROM (
    SELECT position, kind, lag(position, 1, {_TRIMMED}) OVER (ORDER BY position) AS before FROM change)
    WHERE position <> before + 1 AND kind <> '{RESCAN}'"""  # noqa: S608

_LOG = (
    Rule(
        place="change.position",
        table="change",
        wrong=f"position < 1 OR position > {POSITION_MAX}",
        shown="position",
        what="entries at positions that no log gives",
        mends=(
            f"DELETE FROM change WHERE position < 1 OR position > {POSITION_MAX}",  # noqa: S608
            f"UPDATE sqlite_sequence SET seq = {_HEAD} WHERE name = 'change'",  # noqa: S608
            _RESCAN,
        ),
    ),
    Rule(
        place="meta.trimmed",
        table="meta",
        wrong="name = 'trimmed' AND (value GLOB '*[^0-9]*' OR value = '' OR length(value) > 18 "
        "OR CAST(value AS INTEGER) >= (SELECT min(position) FROM change))",
        shown="value",
        what="the log is said to be trimmed through a position that it still has",
        mends=(
            """UPDATE meta SET value = (SELECT CAST(max(min(position) - 1, 0) AS TEXT) FROM change)
                WHERE name = 'trimmed'""",
            _RESCAN,
        ),
    ),
    Rule(
        place="schema_version.position",
        table="schema_version",
        wrong=_MISPLACED,
        shown="version",
        what="versions that the log does not begin where they say",
        mends=(
            f"""UPDATE schema_version SET position = coalesce((SELECT min(c.position) FROM change AS c
                WHERE {_TELLS_VERSION}), position) WHERE {_MISPLACED}""",  # noqa: S608
            f"""UPDATE change SET kind = 's', id = NULL, type = NULL, source = NULL, target = NULL, key = NULL,
                old = NULL, new = (SELECT CAST(version AS TEXT) FROM schema_version AS v
                    WHERE v.position = change.position)
                WHERE position > {_TRIMMED} AND position IN (SELECT position FROM schema_version)""",  # noqa: S608
        ),
    ),
    Rule(
        place="change.kind",
        table="change",
        wrong=_OF_NOBODY,
        shown="position",
        what="entries that no trigger has written",
        mends=(
            f"UPDATE change SET kind = '{RESCAN}', new = NULL WHERE {_OF_NOBODY}",  # noqa: S608
            _RESCAN,
        ),
    ),
    Rule(
        place="change.old and new",
        table="change",
        wrong=_SPOILT,
        shown="position",
        what="entries that tell of properties which are no JSON",
        # As for properties too long to keep: the entry then says that something changed, not what.
        mends=(f"UPDATE change SET old = NULL, new = iif(kind = 's', new, NULL) WHERE {_SPOILT}", _RESCAN),  # noqa: S608
    ),
    Rule(
        place="change (gap)",
        table=f"({_GAPS})",
        wrong="true",
        shown="behind",
        what="entries before these are gone from the log",
        # The log after the last gap is whole; before it, the log counts as trimmed, and everything is compared.
        mends=(
            f"DELETE FROM change WHERE position < (SELECT max(behind) FROM ({_GAPS}))",  # noqa: S608
            "REPLACE INTO meta SELECT 'trimmed', CAST(min(position) - 1 AS TEXT) FROM change",
            _RESCAN,
        ),
    ),
    Rule(
        place="sqlite_sequence.seq",
        table="(SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'change') AS seq)",
        wrong=f"seq IS NOT {_HEAD} AND {_HEAD} > 0",
        shown="coalesce(seq, 'nothing')",
        what="the number of the last entry is not that of the log's last entry",
        mends=(
            """INSERT INTO sqlite_sequence(name, seq) SELECT 'change', 0
                WHERE NOT EXISTS(SELECT 1 FROM sqlite_sequence WHERE name = 'change')""",
            f"UPDATE sqlite_sequence SET seq = 0 WHERE name = 'change' AND NOT seq BETWEEN 0 AND {POSITION_MAX}",  # noqa: S608
            # Never backwards: positions that have left the log may have been given out.
            f"""INSERT INTO change(position, kind) SELECT seq, '{RESCAN}' FROM sqlite_sequence
                WHERE name = 'change' AND seq > {_HEAD}""",  # noqa: S608
            f"UPDATE sqlite_sequence SET seq = {_HEAD} WHERE name = 'change'",  # noqa: S608
        ),
    ),
    Rule(
        place="consumer.position",
        table="consumer",
        wrong=f"typeof(position) <> 'integer' OR position < 0 OR position > {_HEAD}",
        shown="name",
        what="consumers that have read what the log does not have",
        mends=(
            f"""UPDATE consumer SET position = 0
                WHERE typeof(position) <> 'integer' OR position < 0 OR position > {_HEAD}""",  # noqa: S608
        ),
    ),
)

_FUTURE = "last_verified IS NOT NULL AND coalesce(julianday(last_verified) > julianday('now') + 1, 1)"
_VIEW = (
    Rule(
        place="sync_state.last_verified",
        table="sync_state",
        wrong=_FUTURE,
        shown="entity_id",
        what="rows that were verified at no time, or at one to come",
        mends=(f"UPDATE sync_state SET last_verified = NULL WHERE {_FUTURE}",),  # noqa: S608
    ),
)

_ASTRAY = """deleted NOT IN (0, 1) OR sequence = '' OR number < 0 OR (log IS NULL) <> (number IS NULL)
    OR (log IS NULL) <> (at_ms IS NULL) OR (space <> '' AND key NOT GLOB '[er]:?*')"""
_FEEDS = (
    Rule(
        place="fence",
        table="fence",
        wrong=_ASTRAY,
        shown="space || ' ' || name",
        what="rows of feeds of which nobody can say how far they have come: what comes next is applied",
        mends=(f"DELETE FROM fence WHERE {_ASTRAY}",),  # noqa: S608
    ),
)


def _unsound(table: str, refused: Mapping[str, str]) -> Rule:
    """Return the rule for rows that the triggers refuse: one scan, which shows each row with its reason."""
    reasons = " ".join(f"WHEN {condition} THEN '{message}'" for message, condition in refused.items())
    return Rule(
        place=f"{table} (refused)",
        table=table,
        wrong=" OR ".join(f"({condition})" for condition in refused.values()),
        shown=f"coalesce({table}.id, '') || ' (' || CASE {reasons} END || ')'",
        what="rows that the triggers would have refused",
        remedy="put right what is there with an UPDATE or a DELETE, or restore a backup of the file",
    )


_SINCE = f"max({_TRIMMED}, coalesce((SELECT max(position) FROM change WHERE kind = '{RESCAN}' AND new IS NULL), 0))"  # noqa: S608


def _unlogged(table: str, letter: str, names: str) -> Rule:
    """Return the rule for rows that differ from their last entry in the log since everything was compared."""
    kinds = f"('+{letter}', '~{letter}', '-{letter}')"
    newest = (
        f"SELECT max(position) AS position, kind, {names}{'' if 'type' in names else ', type'}, new FROM change "  # noqa: S608
        f"WHERE kind IN {kinds} AND position > {_SINCE} GROUP BY {names}"
    )
    same = " AND ".join(f"t.{name} = w.{name}" for name in names.split(", "))
    differs = f"t.properties IS NOT w.new AND w.new IS NOT NULL{' OR t.type IS NOT w.type' if letter == 'e' else ''}"
    # A log that begins at the first entry, without a rescan, has an entry for every row.
    found = f"""(SELECT w.position AS place FROM ({newest}) AS w LEFT JOIN {table} AS t ON {same}
        WHERE CASE w.kind WHEN '-{letter}' THEN t.type IS NOT NULL ELSE t.type IS NULL OR {differs} END
        UNION ALL SELECT id FROM {table} WHERE {_SINCE} = 0 AND ({names}) NOT IN (
            SELECT {names} FROM change WHERE kind IN {kinds}))"""  # noqa: S608
    return Rule(
        place=f"{table} (unlogged)",
        table=found,
        wrong="true",
        shown="place",
        what="rows that are not what the log's last entries say of them",
        mends=(_RESCAN,),
        is_deep=True,
    )


RULES = (
    *_LOG,
    *_VIEW,
    *_FEEDS,
    *(_unsound(table, refused) for table, refused in UNSOUND.items()),
    _unlogged("entity", "e", "id"),
    _unlogged("relationship", "r", "source, type, target, key"),
)


def graph_check(
    database: Database, exclusive: Callable[[], AbstractContextManager[sqlite3.Connection]]
) -> SqliteSelfCheck:
    """Return the self-check of a graph file."""
    path: Path = database.path
    kept = Kept(
        store=path.name,
        remedy="restore a backup of the file",
        rules=RULES,
        unlike_schema=lambda connection: what_is_wrong(connection, path),
        mend_schema=lambda connection: mend(connection, path),
        newest={},
        untriggered=frozenset({"entity"}),
        after_rebuild=(_RESCAN,),
    )
    return SqliteSelfCheck(database, kept, exclusive)
