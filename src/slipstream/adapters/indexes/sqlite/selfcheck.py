"""
The self-check of the store's file: index, journal, audits and requests.

Everything in this file is derived from the graph or dispensable, so nearly all damage can be mended: rows that can
not be read are removed, and the comparison with the graph finds what is then missing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from slipstream.adapters.indexes.sqlite.schema import (
    NOT_A_KEY,
    READABLE,
    YEARS,
    mend_schema,
    unlike_schema,
)
from slipstream.adapters.indexes.sqlite.values import values_changed
from slipstream.adapters.indexes.sqlite.words_checking import WordsCheck
from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.selfcheck import Kept, Rule, SqliteSelfCheck
from slipstream.adapters.sqlite.structure import Index
from slipstream.domain.erasure import BURIED_PREFIX, MARK_PREFIX
from slipstream.domain.positions import POSITION_MAX
from slipstream.domain.work import Lane

_NUMBER_MAX = 2**62
_SEQUENCE_MAX = 2**63 - 2**32
_NOT_MARKED = f"NOT key GLOB '{BURIED_PREFIX}{MARK_PREFIX}*'"
_NOT_OURS = "name NOT IN ('messages', 'audits', 'requests')"
_LANES = ", ".join(str(int(lane)) for lane in Lane)
_MATRICES_BEGIN_ANEW = (
    # A number that no matrix in memory has reached.
    "INSERT INTO changes (sequence, record) VALUES (1000000 + abs(random()) % 1000000000000, 0)"
)


def _removed(place: str, table: str, shown: str, wrong: str, what: str, *also: str) -> Rule:
    """Return a rule that removes the damaged rows."""
    delete = f"DELETE FROM {table} WHERE {wrong}"  # noqa: S608  (our own text, as all of this file)
    return Rule(place=place, table=table, wrong=wrong, shown=shown, what=what, mends=(delete, *also))


def _set(place: str, table: str, shown: str, wrong: str, what: str, assignment: str) -> Rule:
    """Return a rule that corrects the damaged rows."""
    update = f"UPDATE {table} SET {assignment} WHERE {wrong}"  # noqa: S608  (our own text)
    return Rule(place=place, table=table, wrong=wrong, shown=shown, what=what, mends=(update,))


def _past(column: str) -> str:
    return f"({column} IS NOT NULL AND ({column} < 0 OR {column} > :head))"


_STRAY_VECTORS = "DELETE FROM vectors WHERE record NOT IN (SELECT id FROM records)"
_INDEX = (
    _removed(
        "records (unreadable)", "records", "key", f"NOT ({READABLE})", "rows that stand for no record", _STRAY_VECTORS
    ),
    _set(
        "records.position", "records", "key", "position < 0", "records from before the first position", "position = 0"
    ),
    _removed("vectors.record", "vectors", "record", "record NOT IN (SELECT id FROM records)", "vectors of no record"),
    _removed(
        "tombstones.key",
        "tombstones",
        "key",
        f"({NOT_A_KEY} AND {_NOT_MARKED}) OR position < 0 OR position > {POSITION_MAX}",
        "tombstones of no record, or of no position",
    ),
    _removed(
        "tombstones (beside)",
        "tombstones",
        "key",
        "key IN (SELECT key FROM records) AND position <= :head",
        "tombstones of keys that have a record",
    ),
    Rule(
        place="changes",
        table="(SELECT count(*) AS rows, min(sequence) AS first, max(sequence) AS last FROM changes)",
        wrong=f"rows > 0 AND (last - first + 1 <> rows OR last > {_NUMBER_MAX} OR first < 1)",
        shown="first || ' to ' || last",
        what="the sequence that searches follow has gaps",
        mends=("DELETE FROM changes", _MATRICES_BEGIN_ANEW),
    ),
    Rule(
        place="segments (unreadable)",
        table="segments",
        wrong="(digests IS NOT NULL AND NOT json_valid(digests)) OR writes < 0 "
        f"OR writes > {_NUMBER_MAX} OR position_max < 0 OR position_max > :head",
        shown="after",
        what="digests that can not be read",
        # Another count of writes than any digest in progress has seen.
        mends=(
            "UPDATE segments SET digests = NULL, position_max = NULL, writes = 1000000 + abs(random()) % 1000000000",
        ),
    ),
    Rule(
        place="segments (first)",
        table="(SELECT 1)",
        wrong="NOT EXISTS (SELECT 1 FROM segments WHERE after = '')",
        shown="''",
        what="the range that begins at the first key is gone",
        mends=("DELETE FROM segments", "INSERT INTO segments (after, writes) VALUES ('', 0)"),
    ),
)
_TERMS = (
    _removed(
        "kept_terms (unreadable)",
        "kept_terms",
        "key",
        f"{NOT_A_KEY} OR length(term) <> 16 OR number < 0 OR {_past('position')} OR schema_version < 0",
        "kept terms of no record",
    ),
    _removed("doubted_keys.key", "doubted_keys", "key", NOT_A_KEY, "doubts about no record"),
)
_JOURNAL = (
    _removed(
        "work (unreadable)",
        "work",
        "key",
        f"{NOT_A_KEY} OR lane NOT IN ({_LANES}) OR attempts < 0 OR attempts > {_NUMBER_MAX} OR {_past('position')} "
        f"OR (due_at IS NOT NULL AND NOT due_at {YEARS}) OR force NOT IN (0, 1) OR NOT rank BETWEEN -1e300 AND 1e300",
        "work that stands for nothing",
    ),
    _set(
        "letters.failed_at",
        "letters",
        "id",
        f"NOT failed_at {YEARS}",
        "dead letters that failed at no time",
        "failed_at = CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    ),
    _set(
        "letters (unreadable)",
        "letters",
        "id",
        f"(key IS NOT NULL AND {NOT_A_KEY}) OR attempts < 0 OR attempts > {_NUMBER_MAX} OR {_past('position')}",
        "dead letters with a key, a position or a number of attempts that can not be",
        f"key = iif({NOT_A_KEY}, NULL, key), attempts = iif(attempts BETWEEN 0 AND {_NUMBER_MAX}, attempts, 1), "
        f"position = iif({_past('position')}, NULL, position)",
    ),
    _set(
        "messages.due_at",
        "messages",
        "id",
        f"due_at IS NOT NULL AND NOT due_at {YEARS}",
        "messages that are due at no time",
        "due_at = NULL",
    ),
    Rule(
        place="lease.epoch",
        table="lease",
        wrong=f"epoch < 0 OR epoch > {_NUMBER_MAX}",
        shown="epoch",
        what="an epoch that no owner was given",
    ),
    _removed(
        "requests (unreadable)",
        "requests",
        "id",
        f"NOT asked_at {YEARS} OR attempts < 0 OR attempts > {_NUMBER_MAX} OR is_cancelled NOT IN (0, 1)",
        "requests that were asked at no time",
    ),
    Rule(
        place="sqlite_sequence.seq",
        table="sqlite_sequence",
        wrong=f"typeof(seq) <> 'integer' OR seq < 0 OR seq > {_SEQUENCE_MAX} OR name IS NULL OR {_NOT_OURS}",
        shown="name",
        what="numbers behind which nothing could be added",
        mends=(
            f"DELETE FROM sqlite_sequence WHERE name IS NULL OR {_NOT_OURS}",  # noqa: S608
            *(
                f"UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(id), 0) FROM {table}) WHERE name = '{table}'"  # noqa: S608
                for table in ("messages", "audits", "requests")
            ),
        ),
    ),
)
_OF_NO_AUDIT = "audit NOT IN (SELECT id FROM audits)"
_AUDITS = (
    Rule(
        place="leaves (unreadable)",
        table="leaves",
        wrong="NOT json_valid(digests) OR NOT json_valid(keys) OR NOT json_valid(types) "
        "OR length(terms) <> 16 * json_array_length(keys) OR json_array_length(types) <> json_array_length(keys)",
        shown="after",
        what="leaves of the digest tree that can not be read",
        mends=("DELETE FROM leaves",),
    ),
    _removed(
        "audits.report",
        "audits",
        "id",
        "report <> '' AND CASE WHEN json_valid(report) THEN json_type(report) <> 'object' "
        "OR json_extract(report, '$.id') IS NOT id ELSE 1 END",
        "audits whose report can not be read",
    ),
    _removed(
        "findings (unreadable)",
        "findings",
        "audit || '/' || kind || '/' || key",
        f"{NOT_A_KEY} OR {_OF_NO_AUDIT}",
        "findings of no audit, or of no record",
    ),
)
RULES: Sequence[Rule] = (*_INDEX, *_TERMS, *_JOURNAL, *_AUDITS)


def _duplicates(index: Index, rows: Sequence[tuple[object, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(row[0]) for row in rows)) if index.table == "records" else ()


def store_check(database: Database, emptied: Callable[[], object]) -> SqliteSelfCheck:
    """Return the self-check of a store's file; `emptied` is called when it has emptied the word index."""

    def exclusive() -> AbstractContextManager[sqlite3.Connection]:
        return database.writing()

    kept = Kept(
        store=database.path.name,
        remedy="end what has it open, delete the file: it is built anew from the graph",
        rules=RULES,
        unlike_schema=unlike_schema,
        mend_schema=lambda connection: mend_schema(connection, database.path),
        newest={"records": "position, rowid"},
        duplicates=_duplicates,
        after_rebuild=(_STRAY_VECTORS, "DELETE FROM changes", _MATRICES_BEGIN_ANEW),
        others=values_changed,
        own=WordsCheck(database, emptied),
    )
    return SqliteSelfCheck(database, kept, exclusive)
