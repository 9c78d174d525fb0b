"""Import of whole graphs from JSON lines, as `apoc.export.json` writes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from slipstream.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    InvalidInputError,
    NotFoundError,
    SlipstreamError,
)
from slipstream.domain.formats.dump import DumpNode, DumpRelationship, parse_row
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.work import DeadLetter
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphTransaction, WritableGraph
from slipstream.ports.journal import DeadLetters, Journal

BATCH = 1_000
IMPORT_PREFIX = "import:"
REJECTED_SHOWN = 20
REJECTIONS = (InvalidInputError, NotFoundError, AlreadyExistsError)
LINE_SIZE_MAX = 16 * 1024 * 1024


@dataclass(slots=True)
class ImportReport:
    """What an import brought. `rejected` lines are dead letters, with their text."""

    entities: int = 0
    relationships: int = 0
    rejected: int = 0
    resumed_at_line: int = 0
    position: Position = ORIGIN
    errors: list[str] = field(default_factory=list)
    """The first of the reasons for rejections."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import is, over both passes."""

    done_bytes: int
    total_bytes: int
    rows: int


@dataclass(slots=True)
class _Cursor:
    """Where to go on: entities are imported in the first pass, relationships in the second."""

    stage: int = 0
    line: int = 0


OnProgress = Callable[[ImportProgress], None]


class Importer:
    """
    Imports a dump in batches, each one transaction. Idempotent: what is there already, unchanged, makes no event.

    Interrupted or killed, it goes on behind its last batch when the same file is imported again.
    """

    def __init__(self, pkg: WritableGraph, journal: Journal, letters: DeadLetters, clock: Clock) -> None:
        self._pkg, self._journal, self._letters, self._clock = pkg, journal, letters, clock

    def run(self, path: Path, on_progress: OnProgress | None = None, batch: int = BATCH) -> ImportReport:
        """Import a file; raises `ConfigError` when it can not be read. Bad lines are rejected, the rest goes on."""
        try:
            stat = path.stat()
        except OSError as error:
            raise ConfigError(f"{path} can not be read: {error}") from error
        name = f"{IMPORT_PREFIX}{_digest(path.resolve(), stat.st_size, stat.st_mtime_ns)}"
        return _Run(self, path, stat.st_size, name, batch, on_progress).run()

    def replay(self, letter: DeadLetter) -> bool:
        """Import a rejected line again, on its own; False when it is rejected once more."""
        if letter.payload is None:
            return False
        try:
            row = parse_row(letter.payload, 0)
            with self._pkg.transaction() as tx:
                import_row(tx, row, {})
        except REJECTIONS as error:
            self._letters.bury([replace(letter, error=str(error), attempts=letter.attempts + 1)])
            return False
        return True


def import_row(tx: GraphTransaction, row: DumpNode | DumpRelationship, ids: Mapping[str, str]) -> None:
    """Write one row; `ids` maps row ids to entity ids, for endpoints that do not say theirs."""
    if isinstance(row, DumpNode):
        tx.upsert_entity(row.entity_type, row.entity_id, row.properties)
        return
    tx.relate(
        ids.get(row.source_row_id) or row.source_id or row.source_row_id,
        row.type,
        ids.get(row.target_row_id) or row.target_id or row.target_row_id,
        row.properties,
        discriminator=row.discriminator,
        replace=True,
    )


class _Run:
    def __init__(
        self, importer: Importer, path: Path, size_bytes: int, name: str, batch: int, on_progress: OnProgress | None
    ) -> None:
        self._pkg, self._journal = importer._pkg, importer._journal  # noqa: SLF001  (same module)
        self._letters, self._clock = importer._letters, importer._clock  # noqa: SLF001
        self._path, self._size, self._name, self._batch = path, size_bytes, name, batch
        self._on_progress = on_progress
        self._report = ImportReport()
        self._ids: dict[str, str] = {}
        """Row id to entity id."""
        self._owners: dict[str, str] = {}
        """Entity id to the row that brought it."""

    def run(self) -> ImportReport:
        cursor = self._cursor()
        self._report.resumed_at_line = cursor.line
        for stage in (0, 1):
            self._pass(stage, cursor)
        # Done: the next import of this file starts anew, so that it mends what was changed since.
        self._journal.set(self._name, None)
        self._report.position = self._pkg.last_commit
        return self._report

    def _cursor(self) -> _Cursor:
        saved = self._journal.get(self._name)
        return _Cursor(**json.loads(saved)) if saved else _Cursor()

    def _pass(self, stage: int, start: _Cursor) -> None:
        rows: list[tuple[int, DumpNode | DumpRelationship, str]] = []
        number = done = 0
        for number, line, size in self._lines():
            done += size
            skip = (stage, number) <= (start.stage, start.line)
            row = self._parse(line, number, stage, report=not skip)
            if isinstance(row, DumpNode) and stage == 0 and not self._claim_id(row, number, line, report=not skip):
                continue
            if skip or row is None or isinstance(row, DumpNode) is not (stage == 0):
                continue
            rows.append((number, row, line))
            if len(rows) >= self._batch:
                self._commit(rows, stage, number, done)
                rows = []
        self._commit(rows, stage, number, done)

    def _lines(self) -> Iterator[tuple[int, str, int]]:
        with self._path.open("rb") as file:
            number = 0
            while raw := file.readline(LINE_SIZE_MAX + 1):
                number += 1
                text = raw.decode("utf-8", errors="replace").strip()
                if text:
                    yield number, text, len(raw)

    def _parse(self, line: str, number: int, stage: int, *, report: bool) -> DumpNode | DumpRelationship | None:
        try:
            return parse_row(line, number)
        except InvalidInputError as error:
            if report and stage == 0:  # once, not in both passes
                self._reject(number, line, error)
            return None

    def _claim_id(self, row: DumpNode, number: int, line: str, *, report: bool) -> bool:
        """Note the row's entity id; ids are unique in a graph, so a second row of another entity is refused."""
        owner = self._owners.setdefault(row.entity_id, row.row_id)
        if owner != row.row_id:
            if report:
                message = (
                    f"{row.entity_id!r} is the id of row {owner} already; ids are unique per graph, so one would "
                    "overwrite the other: give one of them another id"
                )
                self._reject(number, line, InvalidInputError(message, field=f"line {number}: properties.id"))
            return False
        self._ids[row.row_id] = row.entity_id
        return True

    def _commit(
        self, rows: list[tuple[int, DumpNode | DumpRelationship, str]], stage: int, line: int, done: int
    ) -> None:
        with self._pkg.transaction() as tx:
            for number, row, text in rows:
                try:
                    self._apply(tx, row)
                except REJECTIONS as error:
                    self._reject(number, text, error)
        # After the commit: dying in between imports this batch once more, which changes nothing.
        self._journal.set(self._name, json.dumps({"stage": stage, "line": line}))
        if self._on_progress is not None:
            counted = self._report.entities + self._report.relationships
            self._on_progress(ImportProgress(stage * self._size + done, 2 * self._size, counted))

    def _apply(self, tx: GraphTransaction, row: DumpNode | DumpRelationship) -> None:
        import_row(tx, row, self._ids)
        if isinstance(row, DumpNode):
            self._report.entities += 1
        else:
            self._report.relationships += 1

    def _reject(self, number: int, line: str, error: SlipstreamError) -> None:
        self._report.rejected += 1
        if len(self._report.errors) < REJECTED_SHOWN:
            self._report.errors.append(f"line {number}: {error}")
        letter_id = f"{self._name}:{number}"
        self._letters.bury([DeadLetter(letter_id, None, f"line {number}: {error}", 1, self._clock.now(), None, line)])


def _digest(path: Path, size_bytes: int, modified_ns: int) -> str:
    return hashlib.blake2b(f"{path}\0{size_bytes}\0{modified_ns}".encode(), digest_size=8).hexdigest()
