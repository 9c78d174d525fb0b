"""Cypher over a graph file, answered by a mirror of it in a kept child process."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slipstream.adapters.cypher.kglite.names import PREFIX, stored_value
from slipstream.adapters.cypher.kglite.statement import Statement, statement_of
from slipstream.adapters.cypher.kglite.worker import ChildDiedError, Worker
from slipstream.adapters.graphs.values import DEPTH_MAX, check_value
from slipstream.domain.errors import (
    ConfigError,
    InvalidInputError,
    QueryLimitError,
    SlipstreamError,
    UnavailableError,
    UnsupportedError,
)
from slipstream.domain.positions import Position
from slipstream.ports.cypher import PlannedWrites
from slipstream.ports.graph import GraphTransaction

MEMORY_BYTES = 1_500_000_000
MEMORY_BYTES_MIN = 500_000_000
"""kglite with a few thousand entities needs as much."""
TIMEOUT_S = 30.0
ROWS_MAX = 100_000
ANSWER_BYTES_MAX = 64 * 1024 * 1024
_CLOSE_WAIT_S = 1.0
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class KgliteCypher:
    """
    Answers Cypher about the graph file at `path`, one statement at a time.

    A statement that takes more than `timeout_s`, `memory_bytes` (where the system can limit it), `rows_max` rows or
    `answer_bytes_max` ends with `QueryLimitError`; if necessary, the process that ran it is replaced. Raises
    `ConfigError` for a limit that is too low for any statement.
    """

    def __init__(
        self,
        path: Path,
        *,
        memory_bytes: int = MEMORY_BYTES,
        timeout_s: float = TIMEOUT_S,
        rows_max: int = ROWS_MAX,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        if memory_bytes < MEMORY_BYTES_MIN:
            raise ConfigError(f"memory_bytes is {memory_bytes}, it needs at least {MEMORY_BYTES_MIN}")
        self._path = Path(path)
        self._memory_bytes, self._timeout_s = memory_bytes, timeout_s
        self._rows_max, self._answer_bytes_max = rows_max, answer_bytes_max
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._may_load = self._may_save = True
        self._closed = False

    def query(self, cypher: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run a read-only statement; one that would write is refused with `InvalidInputError`."""
        statement = statement_of(cypher, writing=False)
        rows, end = self._asked(statement, parameters)
        columns = statement.columns.named(end["columns"])
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def plan(self, cypher: str, parameters: Mapping[str, Any]) -> PlannedWrites:
        """
        Run a statement on a throw-away copy, and return what it would have written.

        Raises `UnsupportedError` for an effect that can not be given as exact mutations; writes nothing.
        """
        statement = statement_of(cypher, writing=True)
        mutations, end = self._asked(statement, parameters, plans=True)
        return PlannedWrites(Position(end["position"]), lambda transaction: _apply(transaction, mutations))

    def close(self) -> None:
        """
        End the process, which first saves the mirror if that is worth it; closing twice is harmless.

        A statement that does not end within a moment is ended, with `UnavailableError`.
        """
        self._closed = True
        if not self._lock.acquire(timeout=_CLOSE_WAIT_S):
            worker = self._worker
            if worker is not None:
                worker.interrupt()
            self._lock.acquire()
        try:
            if self._worker is not None:
                self._worker.close()
            self._worker = None
        finally:
            self._lock.release()

    # ------------------------------------------------------------------ asking

    def _asked(
        self, statement: Statement, parameters: Mapping[str, Any], *, plans: bool = False
    ) -> tuple[list[Any], dict[str, Any]]:
        message = {
            "text": statement.text,
            "parameters": _parameters(statement, parameters) | dict(statement.literals),
            "keys": sorted(statement.keys),
            "labels": sorted(statement.labels),
            "functions": sorted(statement.functions),
            "writes": plans,
            "rows_max": self._rows_max,
            "answer_bytes": self._answer_bytes_max,
            "timeout_ms": max(1, round(self._timeout_s * 1000)),
        }
        with self._lock:
            if self._closed:
                raise UnavailableError(f"the Cypher mirror of {self._path} is closed; open it anew")
            try:
                return self._answer(message)
            except (InvalidInputError, UnsupportedError, QueryLimitError) as error:
                raise _told(error, statement) from error

    def _answer(self, message: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Ask the process, or a new one; ask once more if the process died before the statement ran."""
        for attempt in (1, 2):
            worker = self._running()
            try:
                return worker.ask(message, self._timeout_s)
            except ChildDiedError as error:
                self._drop(worker)
                if self._closed:
                    raise UnavailableError("was closed before the answer was there") from error
                if error.was_running:
                    raise self._out_of_memory("it was ended") from error
                if attempt == 2:
                    raise self._out_of_memory("the graph did not fit") from error
                # A saved mirror that kills the process must not kill the next one too.
                self._may_load = self._may_save = worker.answered > 0
            except SlipstreamError:
                if not worker.is_usable:
                    self._drop(worker)
                raise
            except BaseException:
                self._drop(worker)
                raise
        raise AssertionError  # the loop returns or raises

    def _running(self) -> Worker:
        if self._worker is not None and not self._worker.is_usable:
            self._drop(self._worker)
        if self._worker is None:
            if not self._path.is_file():
                raise UnavailableError(f"{self._path} is not there: nothing can be asked")
            from slipstream.adapters.graphs.sqlite.layout import APPLICATION_ID, LAYOUT_VERSION

            self._worker = Worker({
                "path": str(self._path.resolve()), "layout": [APPLICATION_ID, LAYOUT_VERSION],
                "memory_bytes": self._memory_bytes,
                "may_load": self._may_load, "may_save": self._may_save,
            })  # fmt: skip
        return self._worker

    def _drop(self, worker: Worker) -> None:
        worker.kill()
        self._worker = None

    def _out_of_memory(self, what: str) -> QueryLimitError:
        megabytes = self._memory_bytes // 1_000_000
        return QueryLimitError(f"{what}, most likely because it needs more than {megabytes} MB of memory")


def _parameters(statement: Statement, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that the statement uses, in the mirror's form; raises `InvalidInputError`."""
    missing = sorted(statement.parameters - given.keys())
    if missing:
        raise InvalidInputError(
            "is used by the statement and not given: give it a value, as a keyword in Python", field=missing[0]
        )
    for name in given:
        if not _PARAMETER_NAME.fullmatch(str(name)) or str(name).startswith(PREFIX):
            raise InvalidInputError("is no name of a parameter: letters, digits and underscores", field=str(name))
    return {name: stored_value(_checked(given[name], name, 0)) for name in sorted(statement.parameters)}


def _checked(value: Any, name: str, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise InvalidInputError(f"is nested deeper than {DEPTH_MAX} levels", field=name)
    if isinstance(value, str):
        check_value(value[:1], name) if value.isascii() else _check_unicode(value, name)
        return str(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidInputError(f"the map has the key {key!r}, keys must be texts", field=name)
        return {_checked(key, name, depth): _checked(item, name, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_checked(item, name, depth + 1) for item in value]
    return check_value(value, name)


def _check_unicode(text: str, name: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError("contains a surrogate that is not valid Unicode text", field=name) from error


def _told(error: SlipstreamError, statement: Statement) -> SlipstreamError:
    """Return the same error in the words of the caller's statement."""
    if isinstance(error, InvalidInputError):
        message = str(error).removeprefix(f"{error.field}: ")
        return InvalidInputError(statement.in_words_of_the_caller(message), field=error.field)
    return error


def _apply(transaction: GraphTransaction, mutations: Sequence[Sequence[Any]]) -> None:
    """Apply planned mutations, in order."""
    for name, *arguments in mutations:
        if name == "relate":
            *plain, discriminator = arguments
            transaction.relate(*plain, discriminator=discriminator)
        else:
            getattr(transaction, name)(*arguments)
