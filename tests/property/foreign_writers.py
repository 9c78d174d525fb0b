"""
Random statements of a program that knows nothing of Slipstream, and the mirror that a reader of the log would keep.

The mirror is kept by level: for whatever a row of the log names it reads what is there now. If one write is missed,
or logged under another name, mirror and tables differ from then on.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipstream.adapters.graphs.sqlite.layout import TABLES, TRIGGERS
from slipstream.domain.keys import RelationshipRef

IDS = ["a", "b", "c", "d", "é", "x:y", "5%"]
TYPES = ["T", "U"]
RELATIONS = ["R", "S:1"]
KEYS = ["", "", "1", "é:"]
NUMBERS = [*[None] * 12, -1, 0, 1, 2, 3, 99]
"""Integer keys of entities: not given, negative, taken, free."""
PROPERTIES = [
    "{}",
    '{"n": 1}',
    '{"n": 2, "m": [1, {"x": null}]}',
    '{"n": 1.0}',
    '{"n": 1, "n": 2}',
    '{"id": 7, "z": null}',
]
WRONG_PROPERTIES = ["", "nil", "[1]", '"text"', '{"n": 1e400}', '{"n": -1e999, "m": 1}', b"{}", None, "{}\0", 7]
WRONG_NAMES = ["", "a\0b", "x" * 1025, b"blob", None, b"\xe9", b"\xff"]
CONFLICTS = ["", "", "", " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ABORT", " OR ROLLBACK"]
PRAGMAS = ("foreign_keys", "recursive_triggers", "ignore_check_constraints")

Step = tuple[str, tuple[Any, ...]]


class Steps:
    """Draws statements; the same seed draws the same ones."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._makers = (
            [self._insert_entity] * 8
            + [self._upsert_entity] * 2
            + [self._update_entity] * 4
            + [self._rename] * 3
            + [self._delete_entity] * 2
            + [self._insert_relationship] * 8
            + [self._upsert_relationship]
            + [self._update_relationship] * 3
            + [self._delete_relationship]
            + [self._everything]
            + [self._wrong] * 2
        )

    def draw(self) -> Step:
        """Return the next statement with its parameters."""
        return self._chance.choice(self._makers)()

    def _of(self, *values: list[Any]) -> tuple[Any, ...]:
        return tuple(self._chance.choice(choices) for choices in values)

    def _insert_entity(self) -> Step:
        rows = self._chance.choice([1, 1, 1, 3])
        verb = self._chance.choice([f"INSERT{self._conflict()}", "REPLACE"])
        values = [self._of(NUMBERS, IDS, TYPES, PROPERTIES) for _ in range(rows)]
        marks = ", ".join(["(?, ?, ?, ?)"] * rows)
        return f"{verb} INTO entity(key, id, type, properties) VALUES {marks}", tuple(
            v for row in values for v in row
        )

    def _upsert_entity(self) -> Step:
        change = self._chance.choice(
            [
                "DO NOTHING",
                "(id) DO NOTHING",
                "(id) DO UPDATE SET properties = excluded.properties",
                "(id) DO UPDATE SET type = excluded.type, properties = excluded.properties",
                "(id) DO UPDATE SET id = excluded.type, key = 7",
            ]
        )
        return (
            f"INSERT INTO entity(key, id, type, properties) VALUES (?, ?, ?, ?) ON CONFLICT {change}",  # noqa: S608
            self._of(NUMBERS, IDS, TYPES, PROPERTIES),
        )

    def _update_entity(self) -> Step:
        columns: list[tuple[str, list[Any]]] = [("properties", PROPERTIES), ("type", TYPES), ("key", NUMBERS[-6:])]
        column, choices = self._chance.choice(columns + columns[:1])
        where, places = self._chance.choice([("id = ?", 1), ("id IN (?, ?)", 2), ("id > ?", 1)])
        return (
            f"UPDATE{self._conflict()} entity SET {column} = ? WHERE {where}",
            self._of(choices, *[IDS] * places),
        )

    def _rename(self) -> Step:
        first, second, other = self._of(IDS, IDS, IDS)
        return self._chance.choice(
            [
                (f"UPDATE{self._conflict()} entity SET id = ? WHERE id = ?", (first, second)),
                (f"UPDATE{self._conflict()} entity SET id = ?, type = 'U' WHERE id = ?", (first, second)),
                (
                    f"UPDATE{self._conflict()} entity SET id = CASE id WHEN ? THEN ? ELSE ? END WHERE id IN (?, ?)",
                    (first, second, first, first, second),
                ),
                (
                    (
                        f"UPDATE{self._conflict()} entity SET id = other.i FROM (SELECT ? AS i, ? AS j) AS other "
                        "WHERE entity.id IN (other.j, ?)"
                    ),
                    (first, second, other),
                ),
            ]
        )

    def _delete_entity(self) -> Step:
        where, places = self._chance.choice([("id = ?", 1), ("id IN (?, ?) RETURNING id", 2)])
        return f"DELETE FROM entity WHERE {where}", self._of(*[IDS] * places)  # noqa: S608

    def _insert_relationship(self) -> Step:
        verb = self._chance.choice([f"INSERT{self._conflict()}", f"INSERT{self._conflict()}", "REPLACE"])
        if self._chance.random() < 0.2:
            return (
                (
                    f"{verb} INTO relationship(source, type, target, properties) "  # noqa: S608
                    "SELECT e.id, 'R', f.id, ? FROM entity AS e, entity AS f WHERE e.id <= ? AND f.id <= ? LIMIT 5"
                ),
                self._of(PROPERTIES, IDS, IDS),
            )
        return (
            f"{verb} INTO relationship(source, type, target, key, properties) VALUES (?, ?, ?, ?, ?)",
            self._of(IDS, RELATIONS, IDS, KEYS, PROPERTIES),
        )

    def _upsert_relationship(self) -> Step:
        change = self._chance.choice(
            ["DO NOTHING", "(source, type, target, key) DO UPDATE SET properties = excluded.properties, key = '2'"]
        )
        return (
            (
                "INSERT INTO relationship(source, type, target, key, properties) VALUES (?, ?, ?, ?, ?) "  # noqa: S608
                f"ON CONFLICT {change}"
            ),
            self._of(IDS, RELATIONS, IDS, KEYS, PROPERTIES),
        )

    def _update_relationship(self) -> Step:
        column, choices = self._chance.choice(
            [("properties", PROPERTIES), ("source", IDS), ("target", IDS), ("type", RELATIONS), ("key", KEYS)]
        )
        where = self._chance.choice(["source = ?", "target = ?", "source >= ?"])
        return (
            f"UPDATE{self._conflict()} relationship SET {column} = ? WHERE {where}",
            self._of(choices, IDS),
        )

    def _delete_relationship(self) -> Step:
        return "DELETE FROM relationship WHERE source = ? AND type = ?", self._of(IDS, RELATIONS)

    def _everything(self) -> Step:
        return self._chance.choice(
            [
                ("DELETE FROM entity", ()),
                ("DELETE FROM relationship", ()),
                (f"UPDATE{self._conflict()} entity SET key = key + 1", ()),
                (f"UPDATE{self._conflict()} relationship SET source = target, target = source", ()),
                ("UPDATE entity SET properties = json_set(properties, '$.all', 1)", ()),
            ]
        )

    def _wrong(self) -> Step:
        """Draw what the file has to refuse; bytes that are no blob go in as text, which is what C programs can do."""
        conflict, table = self._conflict(), self._chance.choice(["entity", "relationship"])
        row = list(self._of(IDS, TYPES, IDS, KEYS, PROPERTIES))
        place = self._chance.randrange(5)
        row[place] = self._chance.choice(WRONG_PROPERTIES if place == 4 else WRONG_NAMES)
        marks = ["CAST(? AS TEXT)" if isinstance(v, bytes) and v not in (b"blob", b"{}") else "?" for v in row]
        if table == "entity":
            return (
                f"INSERT{conflict} INTO entity(id, type, properties) VALUES ({marks[0]}, {marks[1]}, {marks[4]})",
                (row[0], row[1], row[4]),
            )
        return (
            f"INSERT{conflict} INTO relationship(source, type, target, key, properties) VALUES ({', '.join(marks)})",
            tuple(row),
        )

    def _conflict(self) -> str:
        return self._chance.choice(CONFLICTS)


@dataclass
class Mirror:
    """What a reader of the log believes to be in the graph."""

    entities: dict[str, tuple[str, str]] = field(default_factory=dict)
    relationships: dict[tuple[str, str, str, str], tuple[str, ...]] = field(default_factory=dict)
    """With both ends as they show in it."""
    position: int = 0

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """Read what the new rows of the log name, as it is now."""
        rows = connection.execute(
            "SELECT position, kind, id, source, type, target, key FROM change WHERE position > ? ORDER BY position",
            (self.position,),
        ).fetchall()
        for position, kind, entity_id, *place in rows:
            assert position == self.position + 1, f"a gap in the log before {position}"
            self.position = position
            if entity_id is not None:
                self._look_at_entity(connection, entity_id)
                if kind == "~e":  # whoever shows it is looked up; of any other change the relationships have rows
                    for found in connection.execute(f"{_RELATIONSHIPS} WHERE ? IN (source, target)", (entity_id,)):
                        self.relationships[found[:4]] = found[4:]
            elif place[0] is not None:
                self._look_at_relationship(connection, tuple(place))

    def _look_at_entity(self, connection: sqlite3.Connection, entity_id: str) -> None:
        row = connection.execute("SELECT type, properties FROM entity WHERE id = ?", (entity_id,)).fetchone()
        if row is None:
            self.entities.pop(entity_id, None)
        else:
            self.entities[entity_id] = row

    def _look_at_relationship(self, connection: sqlite3.Connection, place: tuple[Any, ...]) -> None:
        where = "(source, r.type, target, r.key) = (?, ?, ?, ?)"
        row = connection.execute(f"{_RELATIONSHIPS} WHERE {where}", place).fetchone()
        if row is None:
            self.relationships.pop(place, None)
        else:
            self.relationships[place] = row[4:]


_RELATIONSHIPS = """SELECT source, r.type, target, r.key, r.properties,
    (SELECT type || properties FROM entity WHERE id = source),
    (SELECT type || properties FROM entity WHERE id = target),
    r.id FROM relationship AS r"""


def compare(connection: sqlite3.Connection, mirror: Mirror) -> None:
    """Fail unless the mirror is what the tables hold, and the tables hold what is valid alone."""
    rows = connection.execute("SELECT id, type, properties, key FROM entity").fetchall()
    assert mirror.entities == {row[0]: row[1:3] for row in rows}
    assert len(rows) == len({row[0] for row in rows})
    for entity_id, name, properties, key in rows:
        assert isinstance(entity_id, str)
        assert 0 < len(entity_id) <= 1024
        assert "\0" not in entity_id + name
        assert name
        assert key > 0
        assert_object(properties)
    related = connection.execute(_RELATIONSHIPS).fetchall()
    assert mirror.relationships == {row[:4]: row[4:] for row in related}
    for source, name, target, key, properties, source_end, target_end, identity in related:
        assert source_end is not None, "a relationship without its source"
        assert target_end is not None, "a relationship without its target"
        assert identity == RelationshipRef(name, source, target, key).id
        assert_object(properties)
    count, low, high = connection.execute("SELECT count(*), min(position), max(position) FROM change").fetchone()
    assert count == (high or 0) - (low or 1) + 1, "a gap in the log"


def assert_object(properties: Any) -> None:
    """Fail for a text that is no JSON object, or with a number that no double holds."""
    assert isinstance(properties, str)
    found = json.loads(properties, parse_float=lambda text: assert_finite(float(text)))
    assert isinstance(found, dict)


def assert_finite(number: float) -> float:
    assert abs(number) != float("inf")
    return number


class Writer:
    """A connection of the other program's, with pragmas of its own, which goes from one transaction to the next."""

    def __init__(self, connection: sqlite3.Connection, chance: random.Random) -> None:
        self._connection, self._chance, self._steps = connection, chance, Steps(chance)
        self._savepoints = 0
        self.made: list[Step] = []
        self.refused = 0

    def transact(self) -> int:
        """Set pragmas, run a transaction of some statements, and end it this way or that; return how many."""
        for name in PRAGMAS:
            self._execute(f"PRAGMA {name} = {self._chance.choice(['ON', 'OFF'])}")
        steps = self._chance.choice([1, 1, 2, 5])
        if steps > 1:
            self._execute("BEGIN IMMEDIATE")
            self._savepoints = 0
        for _ in range(steps):
            self._run(self._steps.draw())
            if steps > 1 and self._connection.in_transaction and self._chance.random() < 0.3:
                self._move_savepoint()
        if self._connection.in_transaction:
            self._execute(self._chance.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
        return steps

    def _run(self, step: Step) -> None:
        self.made.append(step)
        try:
            self._connection.execute(*step).fetchall()
        except sqlite3.IntegrityError:
            self.refused += 1

    def _execute(self, statement: str) -> None:
        self.made.append((statement, ()))
        self._connection.execute(statement)

    def _move_savepoint(self) -> None:
        verb = self._chance.choice(["SAVEPOINT", "RELEASE", "ROLLBACK TO"]) if self._savepoints else "SAVEPOINT"
        if verb == "SAVEPOINT":
            self._savepoints += 1
        self._execute(f"{verb} s{self._savepoints}")
        if verb == "RELEASE":
            self._savepoints -= 1


def in_memory(triggers: Mapping[str, str] = TRIGGERS) -> sqlite3.Connection:
    """Return a graph with some triggers, in memory: the file alone, without anything of Python's around it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in (*TABLES.values(), *triggers.values()):
        connection.execute(statement)
    return connection


def run(connection: sqlite3.Connection, seed: int, transactions: int) -> Iterator[int]:
    """Write at random and compare behind each transaction; yields how many statements it was."""
    writer, mirror = Writer(connection, random.Random(seed)), Mirror()
    try:
        for _ in range(transactions):
            yield writer.transact()
            mirror.catch_up(connection)
            compare(connection, mirror)
    except BaseException as error:
        last = "\n".join(f"  {statement}  {parameters!r}"[:300] for statement, parameters in writer.made[-12:])
        error.add_note(f"seed {seed}, the last statements:\n{last}")
        raise
