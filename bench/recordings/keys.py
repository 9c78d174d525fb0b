"""Shapes of keys: what tells a row apart, in which type, and what happens when it changes."""

# ruff: noqa: S608  (the statements are our own)

from __future__ import annotations

from bench.recordings.shapes import Shape

LONG = "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 80) g)"
"""A text so long that PostgreSQL keeps it apart (STORAGE EXTERNAL) and does not send it when it did not change."""


def _lives(
    table: str, columns: str, inserted: str, *changes: str, what: str, name: str = "", **more: object
) -> Shape:
    """Return a shape of one table whose first rows come by the snapshot."""
    return Shape(
        name=name or table.replace("_", "-"),
        what=what,
        tables=[f"public.{table}"],
        setup=f"CREATE TABLE {table} ({columns}); INSERT INTO {table} VALUES {inserted}",
        changes=changes,
        **more,  # type: ignore[arg-type]
    )


def _keyed(kind: str, declared: str, first: str, second: str, third: str, *, with_schemas: bool = True) -> Shape:
    """Return a shape whose key is of a type: two rows in the snapshot, one created, one updated, one deleted."""
    table = f"key_{kind}"
    return _lives(
        table,
        f"k {declared} PRIMARY KEY, title text",
        f"({first}, 'first'), ({second}, 'second')",
        f"INSERT INTO {table} VALUES ({third}, 'third')",
        f"UPDATE {table} SET title = 'changed' WHERE k = {first}",
        f"DELETE FROM {table} WHERE k = {second}",
        what=f"a key of type {declared}",
        with_schemas=with_schemas,
    )


KEYS = [
    _keyed(
        "uuid",
        "uuid",
        "'6f8a6c1e-0d0b-4a51-9f5a-0f2f6b1c2d3e'",
        "'00000000-0000-0000-0000-000000000000'",
        "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        with_schemas=False,
    ),
    _lives(
        "key_boolean",
        "k boolean PRIMARY KEY, title text",
        "(true, 'first'), (false, 'second')",
        "UPDATE key_boolean SET title = 'changed' WHERE k",
        "DELETE FROM key_boolean WHERE NOT k",
        what="a key of type boolean",
        with_schemas=False,
    ),
    _keyed("bigint", "bigint", "9223372036854775807", "-9223372036854775808", "9007199254740993", with_schemas=False),
    _keyed("numeric", "numeric", "1.5", "-0.25", "12345678901234567890.123"),
    _keyed("decimal", "numeric(10,2)", "12.34", "-0.05", "100"),
    _keyed("text", "text", "'a:b%2F'", "''", "'naïve 日本 👩‍🚀 \"q\"'", with_schemas=False),
    _keyed("char", "char(5)", "'ab'", "'cd'", "'abcde'", with_schemas=False),
    _keyed("date", "date", "'2026-11-01'", "'1969-12-31'", "'2000-02-29'"),
    _keyed(
        "timestamptz", "timestamptz", "'2026-11-01 12:00:00.5Z'", "'1969-12-31 00:00:00Z'", "'2000-02-29 01:02:03+02'"
    ),
    _keyed("inet", "inet", "'10.0.0.1'", "'10.0.0.0/8'", "'::1'", with_schemas=False),
    Shape(
        name="key-enum",
        what="a key of an enumeration",
        tables=["public.key_enum"],
        setup="CREATE TYPE level AS ENUM ('low', 'high: very'); "
        "CREATE TABLE key_enum (k level PRIMARY KEY, title text); "
        "INSERT INTO key_enum VALUES ('low', 'first')",
        changes=[
            "INSERT INTO key_enum VALUES ('high: very', 'second')",
            "UPDATE key_enum SET title = 'changed' WHERE k = 'low'",
        ],
        with_schemas=False,
    ),
    _lives(
        "seat",
        "title text, number int, hall text, PRIMARY KEY (hall, number)",
        "('first', 1, 'A:1'), ('second', 2, 'A')",
        "INSERT INTO seat VALUES ('third', 1, 'A')",
        "UPDATE seat SET title = 'changed' WHERE hall = 'A' AND number = 2",
        "DELETE FROM seat WHERE hall = 'A:1'",
        name="key-composite",
        what="a key of two columns, in another order than the table's",
        with_schemas=False,
    ),
    _lives(
        "stock",
        "shop uuid, sku numeric(6,1), open boolean, n int, PRIMARY KEY (shop, sku, open)",
        (
            "('6f8a6c1e-0d0b-4a51-9f5a-0f2f6b1c2d3e', 10.5, true, 1), "
            "('6f8a6c1e-0d0b-4a51-9f5a-0f2f6b1c2d3e', 10.5, false, 2)"
        ),
        "UPDATE stock SET n = 3 WHERE open",
        "DELETE FROM stock WHERE NOT open",
        name="key-composite-typed",
        what="a key of three columns of other types than text",
    ),
    _lives(
        "coded",
        "code text PRIMARY KEY, id int, title text",
        "('x', 42, 'first')",
        "UPDATE coded SET id = 43",
        "INSERT INTO coded VALUES ('y', 42, 'second')",
        name="id-outside-the-key",
        what="a column `id` that is not the key",
    ),
    _lives(
        "visit",
        "place text, n int",
        "('a', 1), ('a', 1)",
        "INSERT INTO visit VALUES ('b', 2)",
        name="no-key",
        what="no primary key: no key comes, and nothing tells its rows apart",
        refused=3,
        is_nameless=True,
    ),
    _lives(
        "reading",
        "meter int, day date, value int",
        "(1, '2026-01-01', 10), (2, '2026-01-01', 20)",
        "ALTER TABLE reading REPLICA IDENTITY FULL",
        "UPDATE reading SET value = 11 WHERE meter = 1",
        "DELETE FROM reading WHERE meter = 2",
        name="no-key-told",
        what="no primary key, REPLICA IDENTITY FULL, and the reader is told which columns tell rows apart",
        options={"key_columns": {"public.reading": ["meter"]}},
        key=["meter"],
        passed={"tombstone": 1},
    ),
    _lives(
        "lead",
        "mail text NOT NULL, title text",
        "('ada@example.org', 'first'), ('bob@example.org', 'second')",
        "ALTER TABLE lead REPLICA IDENTITY FULL",
        "UPDATE lead SET title = 'changed' WHERE mail = 'ada@example.org'",
        "DELETE FROM lead WHERE mail = 'bob@example.org'",
        name="key-by-setting",
        what="no primary key; the connector's message.key.columns makes the key",
        settings={"message.key.columns": "public.by_slug:slug;public.lead:mail"},
        key=["mail"],
    ),
    Shape(
        name="identity-index",
        what=(
            "REPLICA IDENTITY USING INDEX, not of the primary key: a deletion comes with the key 0, so the row stays"
        ),
        tables=["public.by_index"],
        remains={"public.by_index": [{"id": "2", "slug": "two", "title": "second"}]},
        setup="CREATE TABLE by_index (id int PRIMARY KEY, slug text NOT NULL UNIQUE, title text); "
        "ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_slug_key; "
        "INSERT INTO by_index VALUES (1, 'one', 'first'), (2, 'two', 'second')",
        changes=[
            "UPDATE by_index SET title = 'changed' WHERE id = 1",
            "DELETE FROM by_index WHERE id = 2",
            "INSERT INTO by_index VALUES (3, 'three', 'third')",
        ],
        with_schemas=False,
    ),
    Shape(
        name="identity-index-told",
        what="the same with message.key.columns: the index's column is the key",
        tables=["public.by_slug"],
        setup="CREATE TABLE by_slug (id int PRIMARY KEY, slug text NOT NULL UNIQUE, title text); "
        "ALTER TABLE by_slug REPLICA IDENTITY USING INDEX by_slug_slug_key; "
        "INSERT INTO by_slug VALUES (1, 'one', 'first'), (2, 'two', 'second')",
        changes=[
            "UPDATE by_slug SET title = 'changed' WHERE id = 1",
            "DELETE FROM by_slug WHERE id = 2",
            "INSERT INTO by_slug VALUES (3, 'three', 'third')",
        ],
        settings={"message.key.columns": "public.by_slug:slug;public.lead:mail"},
        key=["slug"],
    ),
    Shape(
        name="identity-nothing",
        what="REPLICA IDENTITY NOTHING: creations come, other changes fail in PostgreSQL itself",
        tables=["public.append_only"],
        setup=(
            "CREATE TABLE append_only (id int PRIMARY KEY, title text); "
            "ALTER TABLE append_only REPLICA IDENTITY NOTHING; "
            "INSERT INTO append_only VALUES (1, 'first')"
        ),
        changes=["INSERT INTO append_only VALUES (2, 'second')"],
        with_schemas=False,
    ),
    Shape(
        name="identity-full",
        what="REPLICA IDENTITY FULL: the whole row before, and no placeholder for a long value",
        tables=["public.whole"],
        setup=(
            f"CREATE TABLE whole (id int PRIMARY KEY, title text, body text STORAGE EXTERNAL); "
            f"ALTER TABLE whole REPLICA IDENTITY FULL; "
            f"INSERT INTO whole VALUES (1, 'first', {LONG}), (2, 'second', 'b')"
        ),
        changes=["UPDATE whole SET title = 'changed' WHERE id = 1", "DELETE FROM whole WHERE id = 2"],
        with_schemas=False,
    ),
    Shape(
        name="key-changed",
        what="a changed key: a deletion with its tombstone, and a creation, with headers that name the other key",
        tables=["public.renamed"],
        setup=(
            "CREATE TABLE renamed (id int PRIMARY KEY, title text); "
            "INSERT INTO renamed VALUES (1, 'first'), (2, 'second')"
        ),
        changes=["UPDATE renamed SET id = 10 WHERE id = 1", "UPDATE renamed SET title = 'changed' WHERE id = 10"],
    ),
    Shape(
        name="key-changed-unsent",
        what="a changed key beside a long value that did not change: it is not sent under the new key",
        tables=["public.moved"],
        setup=(
            f"CREATE TABLE moved (id int PRIMARY KEY, title text, body text STORAGE EXTERNAL); "
            f"INSERT INTO moved VALUES (1, 'first', {LONG}), (2, 'second', {LONG})"
        ),
        changes=[
            "UPDATE moved SET id = 10 WHERE id = 1",
            "UPDATE moved SET id = 20, title = 'changed' WHERE id = 2",
            "UPDATE moved SET id = 30 WHERE id = 20",
        ],
        with_schemas=False,
    ),
    Shape(
        name="keys-swapped",
        what="two rows change keys with each other in one transaction",
        tables=["public.swapped"],
        setup=(
            f"CREATE TABLE swapped (id int PRIMARY KEY, title text, body text STORAGE EXTERNAL); "
            f"INSERT INTO swapped VALUES (1, 'first', {LONG}), (2, 'second', {LONG})"
        ),
        changes=[
            (
                "UPDATE swapped SET id = 99 WHERE id = 1; UPDATE swapped SET id = 1 WHERE id = 2; "
                "UPDATE swapped SET id = 2 WHERE id = 99"
            )
        ],
        with_schemas=False,
    ),
    Shape(
        name="key-changed-composite",
        what="one of two key columns changes",
        tables=["public.berth"],
        setup=(
            "CREATE TABLE berth (pier text, number int, boat text, PRIMARY KEY (pier, number)); "
            "INSERT INTO berth VALUES ('N', 1, 'Ada'), ('S', 1, 'Bob')"
        ),
        changes=["UPDATE berth SET number = 2 WHERE pier = 'N'", "UPDATE berth SET pier = 'N' WHERE boat = 'Bob'"],
        with_schemas=False,
    ),
    Shape(
        name="same-name",
        what="tables of one name in two schemas, both counting from 1",
        tables=["public.person", "crm.person"],
        setup="CREATE SCHEMA crm; CREATE TABLE person (id int PRIMARY KEY, title text); "
        "CREATE TABLE crm.person (id int PRIMARY KEY, title text); "
        "INSERT INTO person VALUES (1, 'Ada'); INSERT INTO crm.person VALUES (1, 'Bob')",
        changes=[
            "UPDATE crm.person SET title = 'Bob!'",
            "INSERT INTO crm.person VALUES (2, 'Cleo')",
            "DELETE FROM crm.person WHERE id = 1",
        ],
        with_schemas=False,
    ),
    Shape(
        name="odd-names",
        what="names with capitals, spaces and a keyword",
        tables=["public.Order"],
        setup='CREATE TABLE "Order" ("Id" int PRIMARY KEY, "full name" text, "größe" int, "a.b" text, '
        '"select" text); '
        "INSERT INTO \"Order\" VALUES (1, 'Ada', 5, 'dot', 's')",
        changes=[
            'UPDATE "Order" SET "größe" = 6, "full name" = NULL',
            "INSERT INTO \"Order\" VALUES (2, 'Bob', 1, '', '')",
        ],
    ),
]
