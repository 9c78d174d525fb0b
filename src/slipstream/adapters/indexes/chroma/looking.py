"""
Checks Chroma's own database in a process of its own, and mends it while no client has it open.

Two copies of SQLite in one process can lose each other's locks, and chromadb brings a copy of its own. So this module
is run by `python -m`, with the file and `deep` or `cheap` as arguments; it prints the damage as JSON.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from slipstream.adapters.sqlite.structure import Index, indexes_of, integrity, rebuild, repeated, unlike_table
from slipstream.domain.damage import Damage

STORE = "chroma"
_REMEDY = "end what has it open and delete the directory `chroma`: it is filled again from the graph"
_BUSY_TIMEOUT_S = 10.0
_NEWEST = {"embeddings": "id"}


class _Rule(NamedTuple):
    table: str
    wrong: str
    what: str
    mend: str


_AHEAD = "seq_id > (SELECT max(seq_id) FROM embeddings_queue)"
_RULES = {
    "embedding_metadata (stray)": _Rule(
        "embedding_metadata",
        "id IS NULL OR id NOT IN (SELECT id FROM embeddings)",
        "metadata of no record",
        "DELETE FROM embedding_metadata",
    ),
    "embeddings (stray)": _Rule(
        "embeddings",
        "segment_id NOT IN (SELECT id FROM segments WHERE scope = 'METADATA')",
        "records of no collection",
        "DELETE FROM embeddings",
    ),
    # A segment that is ahead of the log would take the next writes for already applied.
    "max_seq_id.seq_id": _Rule(
        "max_seq_id",
        _AHEAD,
        "segments that have read more of the log than there is",
        "UPDATE max_seq_id SET seq_id = (SELECT max(seq_id) FROM embeddings_queue)",
    ),
}
_UNPAIRED = """SELECT name FROM collections WHERE 1 <> (
    SELECT count(*) FROM segments WHERE collection = collections.id AND scope = ?)"""


def look(path: Path, *, deep: bool) -> Iterator[Damage]:
    """Yield what is wrong; changes nothing, and opens the file for reading only."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for index in indexes_of(connection):
            yield from _index_damage(connection, index)
        if deep:
            for place, what in integrity(connection).items():
                is_index = place.startswith("index ")
                yield _damage(place, what, is_mendable=is_index, hides_rows=is_index or place == "pages")
        for place, rule in _RULES.items():
            (count,) = connection.execute(f"SELECT count(*) FROM {rule.table} WHERE {rule.wrong}").fetchone()  # noqa: S608
            if count:
                yield _damage(place, f"{rule.what} ({count})", is_mendable=True)
        for scope in ("METADATA", "VECTOR"):
            for (name,) in connection.execute(_UNPAIRED, (scope,)):
                yield _damage(f"collection {name}", f"it does not have one segment of {scope}", hides_rows=True)


def _index_damage(connection: sqlite3.Connection, index: Index) -> Iterator[Damage]:
    what = unlike_table(connection, index)
    twice = repeated(connection, index, past_it=what is not None) if index.is_unique else []
    if what is not None or twice:
        shown = what or f"{len(twice)} of {', '.join(index.columns)} are there twice"
        keys = tuple(str(row[-1]) for row in twice) if index.table == "embeddings" else ()
        yield _damage(f"index {index.name}", shown, is_mendable=True, hides_rows=True, keys=keys)


def _damage(
    place: str, what: str, *, is_mendable: bool = False, hides_rows: bool = False, keys: tuple[str, ...] = ()
) -> Damage:
    return Damage(STORE, place, what, "repair" if is_mendable else _REMEDY, is_mendable, hides_rows, keys)


def mend(path: Path, place: str) -> bool:
    """Mend one place, in one transaction; return whether it is sound now. Only while no client has the file open."""
    with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        name = place.removeprefix("index ")
        known = connection.execute(
            "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?", (name,)
        ).fetchone()
        rule = _RULES.get(place)
        if rule is not None:
            connection.execute(f"{rule.mend} WHERE {rule.wrong}")
        elif known is not None:
            rebuild(connection, name, _NEWEST, frozenset())
        else:
            connection.execute("ROLLBACK")
            return False
        connection.execute("COMMIT")
    return all(damage.place != place for damage in look(path, deep=False))


def main(arguments: list[str]) -> int:
    """Print what is wrong with a file."""
    path, closeness = arguments
    found: list[Damage] = []
    try:
        for damage in look(Path(path), deep=closeness == "deep"):
            if damage.place not in {known.place for known in found}:
                found.append(damage)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            sys.stdout.write(json.dumps({"busy": str(error)}))
            return 0
        found.append(_damage("file", str(error), hides_rows=True))
    sys.stdout.write(json.dumps({"damage": [damage.as_data() for damage in found]}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
