"""
Records of the real Debezium for PostgreSQL, with what PostgreSQL itself says of the rows in the end.

    uv run --locked python -m bench.recordings             # all shapes, into tests/data/debezium
    uv run --locked python -m bench.recordings enums xml   # these
    uv run --locked python -m bench.recordings --list

It needs Java 17 and PyPI: the pinned packages are installed into a temporary folder (or `--environment FOLDER`, which
is kept), and PostgreSQL listens on loopback, on a free port. Each shape becomes `NAME.jsonl`, the records as they lie
in a topic of one partition, and `NAME.json`, the right result.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.recordings.columns import COLUMNS, SETTINGS
from bench.recordings.events import EVENTS
from bench.recordings.keys import KEYS
from bench.recordings.place import PACKAGES, Connector, Postgres, RecordingError, install
from bench.recordings.right import right_result
from bench.recordings.shapes import Restart, Shape, Step, Until, by_settings

TARGET = Path(__file__).parents[2] / "tests/data/debezium"
PREFIX = "kg"
_END = "zz_end"
"""A table whose rows mark how far the records have come."""
_MARKS_MAX, _MARK_S = 5, 15.0


def main() -> None:
    """Record the shapes that are named."""
    options = _options()
    shapes = [
        shape for shape in (*COLUMNS, *SETTINGS, *KEYS, *EVENTS) if not options.names or shape.name in options.names
    ]
    if options.list:
        print("\n".join(f"{shape.name:<28} {shape.what}" for shape in shapes))
        return
    try:
        with tempfile.TemporaryDirectory(prefix="slipstream-recordings-") as folder:
            Path(folder).chmod(0o755)  # PostgreSQL may run as somebody else
            _record(shapes, options, Path(folder))
    except RecordingError as error:
        sys.exit(f"not recorded: {error}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.recordings", description="Record shapes of Debezium.")
    parser.add_argument("names", nargs="*", help="shapes; all without")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--output", type=Path, default=TARGET, help="where the files go")
    parser.add_argument("--environment", type=Path, help="a virtual environment to install into, or to use again")
    return parser.parse_args()


def _record(shapes: Sequence[Shape], options: argparse.Namespace, folder: Path) -> None:
    environment = options.environment or folder / "environment"
    if not (environment / "bin/python").exists():
        print(f"installing {', '.join(PACKAGES)}", file=sys.stderr)
        install(environment)
    options.output.mkdir(parents=True, exist_ok=True)
    groups, failures = by_settings(shapes), []
    with Postgres(environment, folder).running() as postgres:
        for number, group in enumerate(groups):
            print(f"{number + 1} of {len(groups)}: {', '.join(shape.name for shape in group)}", file=sys.stderr)
            place = folder / f"connector{number}"
            place.mkdir()
            database = f"shapes{number}"
            postgres.sql(f"CREATE DATABASE {database}")
            connector = Connector(environment, place, _settings(group[0], postgres.port, database, place))
            try:
                _play(group, postgres, database, connector)
                for shape in group:
                    _write(shape, connector.records(), right_result(shape, postgres, database), options.output)
            except RecordingError as error:
                failures.append(str(error))
    if failures:
        raise RecordingError("\n".join(failures))


def _settings(shape: Shape, port: int, database: str, place: Path) -> dict[str, Any]:
    engine = {
        "name": "recordings",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": str(place / "offsets"),
        "offset.flush.interval.ms": "60000",
        "database.hostname": "127.0.0.1",
        "database.port": str(port),
        "database.user": "postgres",
        "database.password": "",
        "database.dbname": database,
        "topic.prefix": PREFIX,
        "plugin.name": "pgoutput",
        "slot.name": database,
        "slot.drop.on.stop": "false",
        "publication.autocreate.mode": "all_tables",
        **shape.settings,
    }
    return {"engine": engine, "converter": dict(shape.converter)}


def _play(group: Sequence[Shape], postgres: Postgres, database: str, connector: Connector) -> None:
    """Make the tables, start the connector, and do each shape's changes once its snapshot is through."""
    for shape in group:
        if shape.setup:
            postgres.sql(shape.setup, database)
    postgres.sql(f"CREATE TABLE {_END} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)", database)
    connector.start()
    try:
        _mark(postgres, database, connector)
        for shape in group:
            for step in shape.changes:
                _step(step, postgres, database, connector)
        _mark(postgres, database, connector)
    finally:
        connector.stop()


def _mark(postgres: Postgres, database: str, connector: Connector) -> None:
    """Return once a row that is inserted now has come; from before the connector none does without a snapshot."""
    for _ in range(_MARKS_MAX):
        number = int(postgres.sql(f"INSERT INTO {_END} DEFAULT VALUES RETURNING id", database))  # noqa: S608
        if connector.comes(f'{PREFIX}.public.{_END} {{"id":{number}}}', within_s=_MARK_S):
            return
    connector.wait(f'{PREFIX}.public.{_END} {{"id":{number}}}')


def _step(step: Step, postgres: Postgres, database: str, connector: Connector) -> None:
    if isinstance(step, str):
        postgres.sql(step, database)
    elif isinstance(step, Until):
        connector.wait(step.text, step.count)
    elif isinstance(step, Restart):
        connector.kill()
        connector.start()
        connector.wait(step.text, step.count)


def _write(shape: Shape, records: Sequence[dict[str, Any]], right: dict[str, Any], output: Path) -> None:
    topics = {f"{PREFIX}.{table}" for table in shape.tables} | {
        topic if topic.startswith("_") else f"{PREFIX}.{topic}" for topic in shape.topics
    }
    kept = [record for record in records if record["topic"] in topics]
    if not kept:
        raise RecordingError(
            f"{shape.name}: no record came; the topics are {sorted({record['topic'] for record in records})}"
        )
    for record in kept:
        _forget_schemas(shape, record)
    lie_in = Counter(record["topic"] for record in kept)
    right["passed"] = {kind: lie_in[told] if isinstance(told, str) else told for kind, told in shape.passed.items()}
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in kept]
    (output / f"{shape.name}.jsonl").write_text("".join(lines), encoding="utf-8")
    (output / f"{shape.name}.json").write_text(
        json.dumps(right, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _forget_schemas(shape: Shape, record: dict[str, Any]) -> None:
    """Leave one of both forms; the one without schemas has to be the other one without them."""
    plain = record.pop("plain")
    for name, text in zip(("key", "value"), plain, strict=True):
        if _without_schema(record[name]) != (None if text is None else json.loads(text)):
            raise RecordingError(f"{shape.name}: without schemas the record is another one: {text}")
        if not shape.with_schemas:
            record[name] = text


def _without_schema(text: str | None) -> Any:
    return None if text is None else json.loads(text)["payload"]


if __name__ == "__main__":
    main()
