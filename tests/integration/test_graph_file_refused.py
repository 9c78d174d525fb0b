"""What is not valid does not get into the graph file, whoever writes and under whatever pragma or conflict clause."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.graphs.sqlite.layout import PROPERTIES_SIZE_MAX
from tests.integration.graph_files import made, raw

ENTITY = "INSERT {} INTO entity(id, type, properties) VALUES (?, ?, ?)"
RELATIONSHIP = "INSERT {} INTO relationship(source, type, target, key, properties) VALUES (?, ?, ?, ?, ?)"
LONG = '"' + "x" * PROPERTIES_SIZE_MAX + '"'
OBJECT, FINITE = "entity.properties: must be a JSON object", "entity.properties: a number is too large for JSON"
ID, TYPE = "entity.id: 1 to 1024 characters of text", "entity.type: 1 to 128 characters of text"
REFUSED: list[tuple[str, tuple[Any, ...], str]] = [
    *(
        (ENTITY, ("x", "T", text), OBJECT)
        for text in ("nonsense", "", "[1, 2]", '"text"', "{'a': 1}", None, 7, b"{}")
    ),
    *(
        (ENTITY, ("x", "T", text), FINITE)
        for text in ('{"n": 1e400}', '{"a": [{"n": -1E+999}]}', f'{{"n": {"9" * 400}.0}}')
    ),
    (ENTITY, ("x", "T", f'{{"text": {LONG}}}'), f"entity.properties: at most {PROPERTIES_SIZE_MAX} characters"),
    (ENTITY, ("x", "T", '{"é": 1}\0'), "none of them NUL"),
    *((ENTITY, (identity, "T", "{}"), ID) for identity in ("", "a\0b", "x" * 1025, b"x")),
    *((ENTITY, ("x", name, "{}"), TYPE) for name in ("", "T\0", "x" * 129, b"T")),
    (RELATIONSHIP, ("ada", "", "bob", "", "{}"), "relationship.type: 1 to 128 characters of text"),
    (RELATIONSHIP, ("ada", "R", "bob", "k" * 1025, "{}"), "relationship.key: at most 1024 characters of text"),
    (RELATIONSHIP, ("ada", "R", "bob", b"", "{}"), "relationship.key: at most 1024 characters of text"),
    (RELATIONSHIP, ("nobody", "R", "bob", "", "{}"), "relationship.source: no such entity"),
    (RELATIONSHIP, ("ada", "R", "nobody", "", "{}"), "relationship.target: no such entity"),
    (RELATIONSHIP, ("ada", "R", "bob", "", "[]"), "relationship.properties: must be a JSON object"),
    ("INSERT {} INTO entity(key, id, type) VALUES (?, ?, ?)", (1, "x", "T"), "entity.key: is that of another entity"),
    ("INSERT {} INTO entity(key, id, type) VALUES (?, ?, ?)", (-1, "x", "T"), "entity.key: must be positive"),
    ("UPDATE {} entity SET key = ? WHERE id = ?", (0, "ada"), "entity.key: must be positive"),
    ("UPDATE {} entity SET key = ? WHERE id = ?", (2, "ada"), "entity.key: is that of another entity"),
    ("UPDATE {} entity SET properties = ? WHERE id = ?", ("[]", "ada"), OBJECT),
    ("UPDATE {} entity SET id = ? WHERE id = ?", ("", "ada"), ID),
    (
        "UPDATE {} relationship SET target = ? WHERE source = ?",
        ("nobody", "ada"),
        "relationship.target: no such entity",
    ),
    ("UPDATE {} relationship SET properties = ? WHERE source = ?", ("1", "ada"), "must be a JSON object"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file to be copied: one that is made anew syncs a dozen times."""
    directory = tmp_path_factory.mktemp("prepared")
    made(directory).close()
    return directory / "graph.db"


@pytest.fixture
def connection(prepared: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    shutil.copy(prepared, tmp_path)
    with closing(raw(tmp_path)) as connection:
        yield connection


@pytest.mark.parametrize("clause", ["", "OR REPLACE", "OR IGNORE", "OR FAIL"])
@pytest.mark.parametrize(("statement", "row", "message"), REFUSED)
def test_it_is_refused_by_name(
    connection: sqlite3.Connection, statement: str, row: tuple[Any, ...], message: str, clause: str
) -> None:
    before = list(connection.iterdump())
    connection.execute("PRAGMA ignore_check_constraints = ON")
    with pytest.raises(sqlite3.IntegrityError) as refused:
        connection.execute(statement.format(clause), row)
    assert message in str(refused.value)
    assert list(connection.iterdump()) == before


def test_what_only_looks_wrong_is_taken(connection: sqlite3.Connection) -> None:
    texts = [
        '{"text": "1e400"}',
        '{"n": 1e308, "m": 5e-324}',
        f'{{"n": {"9" * 400}}}',
        ' {"a":\n1}',
        '{"n": 1, "n": 2}',
    ]
    for number, text in enumerate(texts):
        connection.execute(ENTITY.format(""), (f"x{number}", "T", text))
    connection.execute(ENTITY.format(""), ("i" * 1024, "t" * 128, "{}"))
    assert connection.execute("SELECT count(*) FROM entity").fetchone() == (len(texts) + 3,)


def test_names_are_utf8_and_nothing_else(connection: sqlite3.Connection) -> None:
    """Bytes at random go in as text, which any C program can do, exactly when Python can read them."""
    chance, taken = random.Random(8), 0
    for _ in range(3_000):
        name = chance.choice([_bytes_at_random, _nearly_utf8])(chance)
        try:
            connection.execute("INSERT OR REPLACE INTO entity(id, type) VALUES (CAST(? AS TEXT), 'T')", (name,))
        except sqlite3.IntegrityError:
            with pytest.raises((UnicodeDecodeError, ValueError)):
                _decoded(name)
        else:
            assert _decoded(name)
            taken += 1
    assert 200 < taken < 2_800


def _bytes_at_random(chance: random.Random) -> bytes:
    return bytes(
        chance.choice([0x41, 0x80, 0xBF, 0xC0, 0xC3, 0xE2, 0xED, 0xF0, 0xF4, 0xFF])
        for _ in range(chance.randint(1, 4))
    )


def _nearly_utf8(chance: random.Random) -> bytes:
    points = [
        chance.choice([0x41, 0x7F, 0xE9, 0x7FF, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0x10FFFF])
        for _ in "ab"
    ]
    encoded = "".join(map(chr, points)).encode()
    return encoded if chance.random() < 0.5 else encoded[: chance.randint(1, len(encoded))]


def _decoded(name: bytes) -> str:
    text = name.decode()
    if "\0" in text:
        raise ValueError("NUL")
    return text


def test_a_renamed_entity_takes_its_relationships_along(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO relationship(source, type, target) VALUES ('bob', 'KNOWS', 'ada'), ('ada', 'IS', 'ada')"
    )
    connection.execute("UPDATE entity SET id = 'eve' WHERE id = 'ada'")
    rows = connection.execute("SELECT source, type, target FROM relationship ORDER BY id").fetchall()
    assert rows == [("eve", "IS", "eve"), ("bob", "KNOWS", "eve"), ("eve", "KNOWS", "bob")]
    connection.execute("UPDATE OR REPLACE entity SET id = 'bob' WHERE id = 'eve'")
    rows = connection.execute("SELECT source, type, target FROM relationship ORDER BY id").fetchall()
    assert rows == [("bob", "IS", "bob"), ("bob", "KNOWS", "bob")]


def test_properties_can_not_be_written_past_the_triggers(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="cannot open indexed column for writing"):
        connection.blobopen("entity", "properties", 1)
