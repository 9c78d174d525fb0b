"""Shapes of columns: every type, by every way of writing it that the connector offers."""

# ruff: noqa: S608  (the statements are our own)

from __future__ import annotations

from bench.recordings.shapes import Shape


def _typed(name: str, what: str, columns: str, *rows: str, **more: object) -> Shape:
    """Return a shape of one table `public.t_<name>`: the first row by the snapshot, the others by changes."""
    table = "t_" + name.replace("-", "_")  # a table is a type of its name too, so these are called differently
    insert = f"INSERT INTO {table} VALUES (%d, %s)"
    return Shape(
        name=name,
        what=what,
        tables=[f"public.{table}"],
        setup=f"CREATE TABLE {table} (id int PRIMARY KEY, {columns}); " + insert % (1, rows[0]),
        changes=[insert % (number, row) for number, row in enumerate(rows[1:], 2)],
        **more,  # type: ignore[arg-type]
    )


_LATER = "timestamptz '2026-11-01 12:34:56.789012+02'"

COLUMNS = [
    _typed(
        "numeric",
        "numbers with a scale, and without one",
        "price numeric(10,2), big numeric(38,10), bare numeric, whole numeric(5,0), rounded numeric(5,-2)",
        "12.34, 1234567890123456789012345678.0123456789, 0.1, 77, 12300",
        "-0.05, -0.0000000001, -123456789012345678901234567890.5, -1, -12300",
        "NULL, NULL, NULL, NULL, NULL",
    ),
    _typed(
        "numeric-nan",
        "numbers that are none: the connector sends null",
        "bare numeric, price numeric(10,2)",
        "'NaN', 'NaN'",
        "'Infinity', 1",
        "'-Infinity', 2",
        differs={
            "public.t_numeric_nan:1": {"bare": None, "price": None},
            "public.t_numeric_nan:2": {"bare": None},
            "public.t_numeric_nan:3": {"bare": None},
        },
    ),
    _typed("money", "money, two digits behind the point", "price money", "12.34", "-1234567.89", "NULL"),
    _typed(
        "integers",
        "integers of each size at their ends",
        "small smallint, middle int, large bigint, object oid",
        "-32768, -2147483648, -9223372036854775808, 0",
        "32767, 2147483647, 9223372036854775807, 4294967295",
    ),
    _typed(
        "floats",
        "floats, with those that are no numbers",
        "single real, double double precision",
        "1.5, 1e-300",
        "'NaN', 'NaN'",
        "'Infinity', '-Infinity'",
        "-0.1, 0.1",
    ),
    _typed("booleans", "booleans", "yes boolean, no boolean, unknown boolean", "true, false, NULL"),
    _typed(
        "texts",
        (
            "texts of each type: padded, empty, with quotes, line ends and emoji; "
            "one of type name is null but in snapshots"
        ),
        "plain text, short varchar(20), padded char(5), short_name name",
        "'Ada', 'Lovelace', 'ab', 'n'",
        "'', '', '', 'n'",
        "E'a \"quoted\" \\\\ line\\nnext\\ttab \\u0001', '%:/?#', 'äöü', 'ß'",
        "'👩‍🚀 \u2028 \ufeff', '日本語', '日本', '語'",
        differs={f"public.t_texts:{number}": {"short_name": None} for number in (2, 3, 4)},
    ),
    _typed(
        "dates",
        "dates",
        "day date",
        "'2026-11-01'",
        "'1969-12-31'",
        "'0001-01-01'",
        "'9999-12-31'",
        "'1582-10-10'",
    ),
    _typed(
        "timestamps",
        "timestamps by their precision",
        "bare timestamp, second timestamp(0), milli timestamp(3), micro timestamp(6)",
        "'2026-11-01 12:00:00.5', '2026-11-01 12:00:00', '2026-11-01 12:00:00.123', '2026-11-01 12:00:00.123456'",
        (
            "'1969-12-31 23:59:59.999999', '1969-12-31 23:59:59', '1969-12-31 23:59:59.999', "
            "'1900-01-01 00:00:00.000001'"
        ),
        "'9999-12-31 23:59:59', '0001-01-01 00:00:00', '2026-02-28 00:00:00', '2026-11-01 00:00:00'",
    ),
    _typed(
        "timestamps-with-zone",
        "timestamps with a zone",
        "at timestamptz, milli timestamptz(3), second timestamptz(0)",
        "'2026-11-01 12:00:00.1234Z', '2026-11-01 12:00:00.123+05:30', '2026-11-01 12:00:00-03'",
        "'1969-12-31 23:59:59.999999Z', '1900-01-01 00:00:00Z', '0001-01-02 00:00:00Z'",
    ),
    _typed(
        "times",
        "times of the day, with and without a zone",
        "bare time, second time(0), milli time(3), zoned timetz, zoned_milli timetz(3)",
        "'12:34:56', '12:34:56', '12:34:56.789', '12:34:56.789012+02', '12:34:56.789+02'",
        "'00:00:00', '23:59:59', '00:00:00.001', '00:00:00Z', '00:00:00-05:30'",
        "'23:59:59.999999', '00:00:00', '23:59:59.999', '23:59:59.999999Z', '01:00:00+00'",
    ),
    _typed(
        "intervals",
        "intervals: microseconds, a month counted as 30.4375 days",
        "span interval",
        "'1 day 02:03:04.5'",
        "'00:00:01'",
        "'-1 hour'",
        "'0'",
    ),
    _typed(
        "interval-months",
        "an interval with months can not be told from its microseconds",
        "span interval",
        "'1 year 2 mons 3 days'",
        "'1 mon'",
    ),
    _typed(
        "json",
        "json and jsonb",
        "loose json, tight jsonb",
        """'{"b": 1,  "a": [1, 2.5, null, true, {"c": "d"}]}', '{"b": 1, "a": [1, 2.5, null, true, {"c": "d"}]}'""",
        """'[]', '[]'""",
        """'"text"', '"text"'""",
        """'12.50', '12.50'""",
        """'null', 'null'""",
        "NULL, NULL",
    ),
    _typed(
        "network",
        "addresses and UUIDs",
        "tag uuid, host inet, net cidr, card macaddr, long_card macaddr8",
        (
            "'6f8a6c1e-0d0b-4a51-9f5a-0f2f6b1c2d3e', '10.1.2.3', '10.1.0.0/16', '08:00:2b:01:02:03', "
            "'08:00:2b:01:02:03:04:05'"
        ),
        (
            "'00000000-0000-0000-0000-000000000000', '10.1.2.3/24', '::/0', 'ff:ff:ff:ff:ff:ff', "
            "'00:00:00:00:00:00:00:00'"
        ),
    ),
    _typed("bytes", "bytes", "data bytea", r"'\x00ff10'", r"'\x'", r"'\xdeadbeef00'"),
    _typed(
        "bits",
        "bits: one is a boolean, more are bytes with the lowest first",
        "one bit(1), eight bit(8), twelve bit(12), few bit varying(20)",
        "B'1', B'10000001', B'100000000011', B'101'",
        "B'0', B'00000001', B'000000000001', B'1'",
    ),
    _typed(
        "points",
        "a point: x, y and well-known binary",
        "place point, other point",
        "'(1.5,-2)', NULL",
        "'(0,0)', '(3,4)'",
    ),
    _typed(
        "ranges",
        "ranges: texts",
        "ints int4range, longs int8range, numbers numrange, days daterange, moments tsrange, zoned tstzrange",
        (
            "'[1,5)', '[1,)', '(0.5,1.5]', '[2026-01-01,2026-02-01)', "
            "'[2026-01-01 00:00,2026-01-02 00:00)', '[2026-01-01 00:00Z,)'"
        ),
        "'empty', '(,)', '[1,1]', '(,2026-01-01)', '(,)', 'empty'",
    ),
    _typed(
        "default-null",
        "a NULL in a column with a DEFAULT arrives as the default",
        "colour text DEFAULT 'red', size int DEFAULT 5",
        "'blue', 1",
        "NULL, NULL",
        differs={"public.t_default_null:2": {"colour": "red", "size": 5}},
    ),
    Shape(
        name="default-null-kept",
        what="the same with replace.null.with.default=false of the converter: a NULL is a NULL",
        tables=["public.kept_null"],
        setup="CREATE TABLE kept_null (id int PRIMARY KEY, colour text DEFAULT 'red', size int DEFAULT 5)",
        changes=[
            "INSERT INTO kept_null VALUES (1, 'blue', 1), (2, NULL, NULL)",
            "UPDATE kept_null SET colour = NULL WHERE id = 1",
        ],
        converter={"replace.null.with.default": "false"},
    ),
    Shape(
        name="generated",
        what="a generated column is in the snapshot's rows only",
        tables=["public.generated"],
        setup="CREATE TABLE generated (id int PRIMARY KEY, net int, gross int GENERATED ALWAYS AS (net * 2) STORED); "
        "INSERT INTO generated VALUES (1, 10), (2, 20)",
        changes=["UPDATE generated SET net = 21 WHERE id = 2", "INSERT INTO generated VALUES (3, 30)"],
        differs={"public.generated:2": {"gross": None}, "public.generated:3": {"gross": None}},
    ),
    Shape(
        name="enums",
        what="enumerations, and arrays of them",
        tables=["public.mood"],
        setup=(
            "CREATE TYPE feeling AS ENUM ('sad', 'so so', 'happy, very'); "
            "CREATE TABLE mood (id int PRIMARY KEY, now feeling, all_day feeling[])"
        ),
        changes=["INSERT INTO mood VALUES (1, 'happy, very', '{sad,\"so so\"}'), (2, NULL, '{}')"],
    ),
    Shape(
        name="domains",
        what="types of the user's own over others",
        tables=["public.shop_item"],
        setup="CREATE DOMAIN cents AS numeric(8,2) CHECK (VALUE >= 0); CREATE DOMAIN label AS varchar(30); "
        "CREATE DOMAIN birthday AS date; "
        "CREATE DOMAIN flag AS boolean; CREATE TABLE shop_item (id int PRIMARY KEY, price cents, "
        "title label, born birthday, sold flag)",
        changes=["INSERT INTO shop_item VALUES (1, 19.99, 'Lamp', '1815-12-10', true)"],
    ),
    Shape(
        name="composite",
        what="a column of a composite type is left out of the record",
        tables=["public.parcel"],
        setup="CREATE TYPE address AS (street text, zip int); "
        "CREATE TABLE parcel (id int PRIMARY KEY, title text, goes_to address); "
        "INSERT INTO parcel VALUES (1, 'Books', ROW('Main', 12345))",
        changes=["INSERT INTO parcel VALUES (2, 'Tea', ROW('Side', 1))"],
        differs={"public.parcel:1": {"goes_to": None}, "public.parcel:2": {"goes_to": None}},
    ),
    Shape(
        name="extensions",
        what="types of extensions: citext, ltree, hstore, isbn, tsvector",
        tables=["public.extended"],
        setup="CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION IF NOT EXISTS hstore; "
        "CREATE TABLE extended (id int PRIMARY KEY, mail citext, path ltree, pairs hstore, words tsvector)",
        changes=[
            (
                "INSERT INTO extended VALUES (1, 'Ada@Example.org', 'Top.Science.Maths', 'a=>1, "
                "\"b c\"=>NULL', to_tsvector('simple', 'a fat cat'))"
            ),
            "INSERT INTO extended VALUES (2, '', '', '', '')",
        ],
    ),
    Shape(
        name="hstore-map",
        what="hstore.handling.mode=map",
        tables=["public.pairs"],
        settings={"hstore.handling.mode": "map"},
        setup="CREATE EXTENSION IF NOT EXISTS hstore; CREATE TABLE pairs (id int PRIMARY KEY, pairs hstore)",
        changes=["INSERT INTO pairs VALUES (1, 'a=>1, \"b c\"=>NULL'), (2, ''), (3, NULL)"],
    ),
    Shape(
        name="vectors",
        what="pgvector: lists of numbers",
        tables=["public.embedded"],
        setup=(
            "CREATE EXTENSION IF NOT EXISTS vector; "
            "CREATE TABLE embedded (id int PRIMARY KEY, v vector(3), h halfvec(3))"
        ),
        changes=["INSERT INTO embedded VALUES (1, '[1,2.5,-3]', '[1,2.5,-3]')"],
    ),
    _typed(
        "arrays",
        "arrays, with nulls and empty ones",
        (
            "words text[], names varchar(9)[], ints int[], longs bigint[], flags boolean[], "
            "doubles float8[], tags uuid[]"
        ),
        (
            """'{a,NULL,"b c, d",""}', '{x}', '{1,NULL,-2}', '{9223372036854775807}', '{t,f,NULL}', """
            """'{1.5,NULL}', '{6f8a6c1e-0d0b-4a51-9f5a-0f2f6b1c2d3e}'"""
        ),
        "'{}', '{}', '{}', '{}', '{}', '{}', '{}'",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    ),
    _typed(
        "arrays-encoded",
        "arrays of values that are encoded",
        (
            "prices numeric(8,2)[], bare numeric[], days date[], moments timestamp[], "
            "zoned timestamptz[], documents jsonb[], hosts inet[]"
        ),
        (
            """'{12.34,NULL,-0.05}', '{0.1,100}', '{2026-11-01,1969-12-31}', '{2026-11-01 12:00:00.5}', """
            """'{2026-11-01 12:00:00.5+02}', ARRAY['{"a": 1}'::jsonb], '{10.0.0.1}'"""
        ),
    ),
]

_ALL = (
    "price numeric(10,2), bare numeric, day date, at timestamp, milli timestamp(3), "
    "zoned timestamptz, clock time, span interval, data bytea"
)
_ROW = (
    r"12.34, 0.1, '2026-11-01', '2026-11-01 12:00:00.123456', '2026-11-01 12:00:00.123', "
    r"'2026-11-01 12:00:00.1234Z', '12:34:56.789', '1 day 02:03:04.5', '\x00ff10'"
)


def _set(name: str, what: str, settings: dict[str, str], **more: object) -> Shape:
    return _typed(
        name, what, _ALL, _ROW, "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL", settings=settings, **more
    )


SETTINGS = [
    _set("decimals-string", "decimal.handling.mode=string", {"decimal.handling.mode": "string"}),
    _set("decimals-double", "decimal.handling.mode=double", {"decimal.handling.mode": "double"}),
    _set(
        "times-connect",
        "time.precision.mode=connect: milliseconds, as Kafka Connect's own types",
        {"time.precision.mode": "connect"},
        differs={"public.t_times_connect:1": {"at": "2026-11-01T12:00:00.123"}},
    ),
    _set("times-isostring", "time.precision.mode=isostring: ISO 8601 texts", {"time.precision.mode": "isostring"}),
    _set("times-microseconds", "time.precision.mode=microseconds", {"time.precision.mode": "microseconds"}),
    _set("times-nanoseconds", "time.precision.mode=nanoseconds", {"time.precision.mode": "nanoseconds"}),
    _set(
        "times-adaptive-time",
        "time.precision.mode=adaptive_time_microseconds",
        {"time.precision.mode": "adaptive_time_microseconds"},
    ),
    _set("intervals-string", "interval.handling.mode=string: ISO 8601", {"interval.handling.mode": "string"}),
    _set("bytes-hex", "binary.handling.mode=hex", {"binary.handling.mode": "hex"}),
    _set("bytes-base64", "binary.handling.mode=base64: a text", {"binary.handling.mode": "base64"}),
    _set("bytes-base64-url", "binary.handling.mode=base64-url-safe", {"binary.handling.mode": "base64-url-safe"}),
    _typed(
        "decimals-json",
        "decimal.format=NUMERIC of the converter: decimals as JSON numbers",
        "price numeric(10,2), bare numeric, big numeric(30,10)",
        "12.34, 0.1, 12345678901234567890.0123456789",
        "-1, -1, -1",
        converter={"decimal.format": "NUMERIC"},
    ),
    _typed(
        "infinity",
        "dates and timestamps without an end",
        "day date, at timestamp, zoned timestamptz",
        "'infinity', 'infinity', 'infinity'",
        "'-infinity', '-infinity', '-infinity'",
    ),
]
