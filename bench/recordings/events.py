"""Shapes of events: what the connector sends beside plain changes, and what it does not send."""

# ruff: noqa: S608  (the statements are our own)

from __future__ import annotations

from bench.recordings.keys import LONG
from bench.recordings.shapes import Restart, Shape, Until

_TRUNCATES = {"skipped.operations": "none"}
_UNWRAP = {"transforms": "unwrap", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState"}
_FIELDS = {**_UNWRAP, "transforms.unwrap.add.fields": "op,lsn,source.ts_ms,table"}
_SIGNALS = {"signal.data.collection": "public.debezium_signal", "incremental.snapshot.chunk.size": "3"}


def _unsent(
    name: str,
    declared: str,
    value: str,
    *,
    with_schemas: bool = False,
    settings: dict[str, str] | None = None,
    setup: str = "",
    **more: object,
) -> Shape:
    """Return a shape of a long value that another column's change does not send; one row has it by the snapshot."""
    table = f"unsent_{name.replace('-', '_')}"
    return Shape(
        name=f"unsent-{name}",
        what=f"a long value of type {declared} that did not change is not sent",
        tables=[f"public.{table}"],
        setup=f"{setup}CREATE TABLE {table} (id int PRIMARY KEY, title text, long {declared}); "
        f"ALTER TABLE {table} ALTER COLUMN long SET STORAGE EXTERNAL; "
        f"INSERT INTO {table} VALUES (1, 'first', {value}), (2, 'second', NULL)",
        changes=[
            f"UPDATE {table} SET title = 'changed' WHERE id = 1",
            f"UPDATE {table} SET title = 'changed too' WHERE id = 2",
        ],
        settings=settings or {},
        with_schemas=with_schemas,
        **more,  # type: ignore[arg-type]
    )


_BYTES = "decode((SELECT string_agg(md5(g::text), '') FROM generate_series(1, 170) g), 'hex')"

UNSENT = [
    _unsent("text", "text", LONG),
    _unsent("varchar", "varchar(9000)", LONG),
    _unsent("jsonb", "jsonb", f"jsonb_build_object('a', {LONG})", with_schemas=True),
    _unsent("json", "json", f"json_build_object('a', {LONG})", with_schemas=True),
    _unsent("bytes", "bytea", _BYTES, with_schemas=True),
    _unsent("texts", "text[]", "(SELECT array_agg(md5(g::text)) FROM generate_series(1, 80) g)"),
    _unsent("ints", "int[]", "(SELECT array_agg(g * 7919) FROM generate_series(1, 600) g)"),
    _unsent("longs", "bigint[]", "(SELECT array_agg(g * 7919000000) FROM generate_series(1, 300) g)"),
    _unsent("uuids", "uuid[]", "(SELECT array_agg(md5(g::text)::uuid) FROM generate_series(1, 150) g)"),
    _unsent(
        "doubles",
        "float8[]",
        "(SELECT array_agg(g / 8.0) FROM generate_series(1, 300) g)",
        options={"unsent_nulls": {"public.unsent_doubles": ["long"]}},
    ),
    _unsent(
        "numeric",
        "numeric",
        "repeat('1234567890', 600)::numeric",
        options={"unsent_nulls": {"public.unsent_numeric": ["long"]}},
    ),
    _unsent(
        "vector",
        "vector",
        "(SELECT array_agg(g / 8.0) FROM generate_series(1, 600) g)::vector",
        setup="CREATE EXTENSION IF NOT EXISTS vector; ",
        options={"unsent_nulls": {"public.unsent_vector": ["long"]}},
    ),
    _unsent(
        "hstore", "hstore", f"hstore('a', {LONG})", setup="CREATE EXTENSION IF NOT EXISTS hstore; ", with_schemas=True
    ),
    _unsent(
        "hstore-map",
        "hstore",
        f"hstore('a', {LONG})",
        setup="CREATE EXTENSION IF NOT EXISTS hstore; ",
        settings={"hstore.handling.mode": "map"},
    ),
    _unsent("bytes-hex", "bytea", _BYTES, settings={"binary.handling.mode": "hex"}),
]

EVENTS = [
    *UNSENT,
    Shape(
        name="life",
        what="created, changed, deleted with its tombstone, created again",
        tables=["public.life"],
        setup=(
            "CREATE TABLE life (id int PRIMARY KEY, title text, note text); "
            "INSERT INTO life VALUES (1, 'snapshot', 'n')"
        ),
        changes=[
            "INSERT INTO life VALUES (2, 'two', 'n')",
            "UPDATE life SET title = 'two!', note = NULL WHERE id = 2",
            "DELETE FROM life WHERE id IN (1, 2)",
            "INSERT INTO life VALUES (2, 'two again', NULL)",
        ],
    ),
    Shape(
        name="one-transaction",
        what="a row inserted, changed, deleted and inserted again in one transaction; one that is rolled back",
        tables=["public.busy"],
        setup="CREATE TABLE busy (id int PRIMARY KEY, title text)",
        changes=[
            (
                "INSERT INTO busy VALUES (1, 'a'); UPDATE busy SET title = 'b'; UPDATE busy SET title = 'c'; "
                "DELETE FROM busy; INSERT INTO busy VALUES (1, 'd')"
            ),
            "BEGIN; INSERT INTO busy VALUES (2, 'never'); ROLLBACK",
            "INSERT INTO busy VALUES (3, 'x'); DELETE FROM busy WHERE id = 3",
        ],
        with_schemas=False,
    ),
    Shape(
        name="no-tombstones",
        what="tombstones.on.delete=false",
        tables=["public.quiet"],
        settings={"tombstones.on.delete": "false"},
        setup="CREATE TABLE quiet (id int PRIMARY KEY, title text); INSERT INTO quiet VALUES (1, 'a'), (2, 'b')",
        changes=["DELETE FROM quiet WHERE id = 1"],
    ),
    Shape(
        name="columns-dropped",
        what="a column dropped, one added, one renamed, one of another type, between changes",
        tables=["public.shifting"],
        setup=(
            "CREATE TABLE shifting (id int PRIMARY KEY, title text, colour text, size int); "
            "INSERT INTO shifting VALUES (1, 'a', 'red', 5), (2, 'b', 'blue', 6)"
        ),
        changes=[
            "ALTER TABLE shifting DROP COLUMN colour",
            "UPDATE shifting SET title = 'a!' WHERE id = 1",
            "ALTER TABLE shifting ADD COLUMN tag text DEFAULT 'new'",
            "UPDATE shifting SET title = 'a!!' WHERE id = 1",
            "ALTER TABLE shifting RENAME COLUMN size TO breadth",
            "ALTER TABLE shifting ALTER COLUMN breadth TYPE text",
            "UPDATE shifting SET title = 'b!'",
        ],
        with_schemas=False,
    ),
    Shape(
        name="partitioned",
        what=(
            "a partitioned table: the snapshot sends each row twice, changes come as the partition's; "
            "told that the partitions are the table"
        ),
        tables=["public.event"],
        topics=["public.event_2025", "public.event_2026"],
        setup="CREATE TABLE event (id int, year int, title text, PRIMARY KEY (id, year)) PARTITION BY LIST (year); "
        "CREATE TABLE event_2025 PARTITION OF event FOR VALUES IN (2025); "
        "CREATE TABLE event_2026 PARTITION OF event FOR VALUES IN (2026); "
        "INSERT INTO event VALUES (1, 2025, 'a'), (2, 2026, 'b')",
        changes=[
            "UPDATE event SET title = 'a!' WHERE id = 1",
            "INSERT INTO event VALUES (3, 2026, 'c')",
            "UPDATE event SET year = 2025 WHERE id = 2",
            "DELETE FROM event WHERE id = 3",
        ],
        options={"tables": {"event_2025": "event", "event_2026": "event"}},
        with_schemas=False,
    ),
    Shape(
        name="partitioned-by-root",
        what=(
            "a partitioned table published by its root (publish_via_partition_root): the snapshot alone "
            "sends its rows twice"
        ),
        tables=["public.journal"],
        topics=["public.journal_a"],
        settings={"publish.via.partition.root": "true"},
        setup=(
            "CREATE TABLE journal (id int PRIMARY KEY, title text) PARTITION BY RANGE (id); "
            "CREATE TABLE journal_a PARTITION OF journal DEFAULT; INSERT INTO journal VALUES (1, 'a')"
        ),
        changes=["UPDATE journal SET title = 'a!'", "INSERT INTO journal VALUES (2, 'b')"],
        with_schemas=False,
        refused=1,
    ),
    Shape(
        name="truncated",
        what="skipped.operations=none: a table is truncated between changes",
        tables=["public.wiped"],
        settings=_TRUNCATES,
        setup="CREATE TABLE wiped (id int PRIMARY KEY, title text); INSERT INTO wiped VALUES (1, 'a'), (2, 'b')",
        changes=["INSERT INTO wiped VALUES (3, 'c')", "TRUNCATE wiped", "INSERT INTO wiped VALUES (1, 'again')"],
    ),
    Shape(
        name="truncated-together",
        what="several tables truncated together, one of them by CASCADE; others stay",
        tables=["public.boat", "public.crew", "public.port", "public.kept"],
        settings=_TRUNCATES,
        with_schemas=False,
        setup="CREATE TABLE boat (id int PRIMARY KEY, title text); "
        "CREATE TABLE crew (id int PRIMARY KEY, boat int REFERENCES boat); "
        "CREATE TABLE port (id int PRIMARY KEY, title text); "
        "CREATE TABLE kept (id int PRIMARY KEY, title text); INSERT INTO boat VALUES (1, 'a'); "
        "INSERT INTO crew VALUES (1, 1); INSERT INTO port VALUES (1, 'p'); "
        "INSERT INTO kept VALUES (1, 'k')",
        changes=[
            "TRUNCATE boat, port RESTART IDENTITY CASCADE",
            "INSERT INTO boat VALUES (2, 'b'); INSERT INTO crew VALUES (2, 2)",
        ],
    ),
    Shape(
        name="truncated-rolled-back",
        what="a truncation that is rolled back to a savepoint, then one in a transaction that fills the table again",
        tables=["public.redone"],
        settings=_TRUNCATES,
        with_schemas=False,
        setup="CREATE TABLE redone (id int PRIMARY KEY, title text); INSERT INTO redone VALUES (1, 'a'), (2, 'b')",
        changes=[
            "BEGIN; SAVEPOINT s; TRUNCATE redone; ROLLBACK TO s; UPDATE redone SET title = 'a!' WHERE id = 1; COMMIT",
            "TRUNCATE redone; INSERT INTO redone VALUES (2, 'c')",
        ],
    ),
    Shape(
        name="transactions",
        what="markers where a transaction begins and ends",
        tables=["public.ledger"],
        topics=["transaction"],
        settings={"provide.transaction.metadata": "true"},
        setup="CREATE TABLE ledger (id int PRIMARY KEY, title text); INSERT INTO ledger VALUES (1, 'a')",
        changes=[
            "UPDATE ledger SET title = 'a!'; INSERT INTO ledger VALUES (2, 'b')",
            "DELETE FROM ledger WHERE id = 1",
        ],
        passed={"transaction marker": "kg.transaction"},
        with_schemas=False,
    ),
    Shape(
        name="heartbeats",
        what="heartbeats between changes",
        tables=["public.calm"],
        topics=["__debezium-heartbeat.kg"],
        settings={"heartbeat.interval.ms": "100"},
        setup="CREATE TABLE calm (id int PRIMARY KEY, title text); INSERT INTO calm VALUES (1, 'a')",
        passed={"heartbeat": "__debezium-heartbeat.kg"},
        changes=[
            "UPDATE calm SET title = 'a!'",
            Until("__debezium-heartbeat.kg", 2),
            "INSERT INTO calm VALUES (2, 'b')",
        ],
    ),
    Shape(
        name="messages",
        what="logical messages of pg_logical_emit_message, in a transaction and out of one",
        tables=["public.talk"],
        topics=["message"],
        setup="CREATE TABLE talk (id int PRIMARY KEY, title text)",
        changes=[
            "INSERT INTO talk VALUES (1, 'a'); SELECT pg_logical_emit_message(true, 'note', 'said within')",
            "SELECT pg_logical_emit_message(false, 'note', 'said without')",
        ],
        passed={"logical message": "kg.message"},
    ),
    Shape(
        name="incremental-snapshot",
        what="an incremental snapshot by a signal: read events without an order of their own, and the signals' rows",
        tables=["public.relearned"],
        topics=["public.debezium_signal"],
        settings=_SIGNALS,
        with_schemas=False,
        passed={"signal": "kg.public.debezium_signal"},
        setup="CREATE TABLE debezium_signal (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, "
        "data varchar(2048)); "
        "CREATE TABLE relearned (id int PRIMARY KEY, title text); "
        "INSERT INTO relearned SELECT g, 'row ' || g FROM generate_series(1, 4) g",
        changes=[
            "UPDATE relearned SET title = 'changed' WHERE id = 1",
            "DELETE FROM relearned WHERE id = 2",
            (
                """INSERT INTO debezium_signal VALUES ('s1', 'execute-snapshot', """
                """'{"data-collections": ["public.relearned"], "type": "incremental"}')"""
            ),
            Until('"snapshot":"incremental"', 3),
            "UPDATE relearned SET title = 'later' WHERE id = 3",
        ],
    ),
    Shape(
        name="snapshot-missed",
        what="snapshot.mode=no_data: rows that were there are known by their changes only",
        tables=["public.unseen"],
        settings={"snapshot.mode": "no_data"},
        setup="CREATE TABLE unseen (id int PRIMARY KEY, title text); INSERT INTO unseen VALUES (1, 'a'), (2, 'b')",
        changes=[
            "UPDATE unseen SET title = 'a!' WHERE id = 1",
            "DELETE FROM unseen WHERE id = 2",
            "INSERT INTO unseen VALUES (3, 'c')",
        ],
    ),
    Shape(
        name="snapshot-missed-unsent",
        what="the same with a long value that is not sent: what it was is nowhere",
        tables=["public.unseen_long"],
        settings={"snapshot.mode": "no_data"},
        setup=(
            f"CREATE TABLE unseen_long (id int PRIMARY KEY, title text, body text STORAGE EXTERNAL); "
            f"INSERT INTO unseen_long VALUES (1, 'a', {LONG})"
        ),
        changes=["UPDATE unseen_long SET title = 'a!' WHERE id = 1"],
        refused=1,
        is_nameless=True,
    ),
    Shape(
        name="sent-again",
        what="the connector is killed and sends again what it had not noted as sent",
        tables=["public.repeated"],
        settings={"max.batch.size": "64"},
        setup="CREATE TABLE repeated (id int PRIMARY KEY, title text); INSERT INTO repeated VALUES (1, 'a')",
        with_schemas=False,
        changes=[
            "UPDATE repeated SET title = 'b' WHERE id = 1",
            "UPDATE repeated SET title = 'c' WHERE id = 1",
            "DELETE FROM repeated WHERE id = 1; INSERT INTO repeated VALUES (2, 'd')",
            Until('"title":"d"', 1),
            Restart('"title":"d"', 2),
            "UPDATE repeated SET title = 'e' WHERE id = 2",
        ],
    ),
    Shape(
        name="flat",
        what="flattened by ExtractNewRecordState, nothing added: rows and tombstones",
        tables=["public.flat"],
        settings=_UNWRAP,
        setup=(
            "CREATE TABLE flat (id int PRIMARY KEY, title text, price numeric(10,2)); "
            "INSERT INTO flat VALUES (1, 'a', 1.5), (2, 'b', 2.5)"
        ),
        changes=[
            "UPDATE flat SET title = 'a!' WHERE id = 1",
            "DELETE FROM flat WHERE id = 2",
            "INSERT INTO flat VALUES (3, 'c', 3.25)",
        ],
    ),
    Shape(
        name="flat-rewritten",
        what="flattened, with __op, __lsn and __deleted; a deletion is a row with __deleted=true",
        tables=["public.flat_rewritten"],
        settings={**_FIELDS, "transforms.unwrap.delete.tombstone.handling.mode": "rewrite"},
        with_schemas=False,
        setup=(
            f"CREATE TABLE flat_rewritten (id int PRIMARY KEY, title text, body text STORAGE EXTERNAL); "
            f"INSERT INTO flat_rewritten VALUES (1, 'a', {LONG}), (2, 'b', NULL)"
        ),
        changes=[
            "UPDATE flat_rewritten SET title = 'a!' WHERE id = 1",
            "DELETE FROM flat_rewritten WHERE id = 2",
            "UPDATE flat_rewritten SET id = 10 WHERE id = 1",
        ],
    ),
    Shape(
        name="flat-rewritten-tombstone",
        what="flattened, rewritten deletions and their tombstones",
        tables=["public.flat_both"],
        settings={**_FIELDS, "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone"},
        setup=(
            "CREATE TABLE flat_both (id int PRIMARY KEY, title text); INSERT INTO flat_both VALUES (1, 'a'), (2, 'b')"
        ),
        changes=[
            "DELETE FROM flat_both WHERE id = 1",
            "INSERT INTO flat_both VALUES (1, 'again')",
            "DELETE FROM flat_both WHERE id = 2",
        ],
    ),
]
