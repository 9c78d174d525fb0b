"""Import of whole graphs from JSON, packed or not, as `apoc.export.json` and an export of ours write them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from slipstream.domain.entities import EntityState
from slipstream.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    InvalidInputError,
    SlipstreamError,
)
from slipstream.domain.keys import RecordKey, RelationshipRef, entity_key, relationship_key
from slipstream.domain.refusals import CutLine, RefusalLimits
from slipstream.domain.work import DeadLetter
from slipstream.events.documents import document_rows, row_depth
from slipstream.events.file_space import FileSpace, Named
from slipstream.events.formats.dump import DumpHead, DumpNode, DumpRelationship, DumpRow, parse_row
from slipstream.events.import_state import (
    DELETING,
    REJECTED_SHOWN,
    REJECTIONS,
    Cursor,
    ImportProgress,
    ImportReport,
    OnProgress,
    ReadWriteGraph,
    finish_replacing,
    start_of,
    tell_change,
)
from slipstream.events.leaving_out import LeftOut
from slipstream.events.lines import CHUNK_BYTES, Line, bounded_lines, checked_chunks, refusal_of, told_of
from slipstream.events.packing import lines_read
from slipstream.events.refusing import Refusals, Source
from slipstream.events.row_letters import RowLetter, import_schema
from slipstream.events.statements import Replacing, Statements
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphTransaction
from slipstream.ports.journal import DeadLetters, NamedValues

BATCH, BATCH_BYTES = 1_000, 2 * 1024 * 1024
"""Rows, and bytes, of one transaction: so few that other writers hardly wait."""
_PARSED_MAX, _PARSED_SIZE_MAX = 20_000, 2_000
"""How many parsed rows, and of which length at most, are held for the second pass: some 50 MB."""
IMPORT_PREFIX = "import:"
_FORM = "JSON as apoc.export.json writes it"


class Importer:
    """
    Imports a dump in batches, each one transaction. Idempotent: rows that are already there, unchanged, make no
    event.

    After an interruption or a kill, importing the same file again goes on after the last committed batch.
    """

    def __init__(
        self,
        pkg: ReadWriteGraph,
        journal: NamedValues,
        letters: DeadLetters,
        clock: Clock,
        limits: RefusalLimits | None = None,
    ) -> None:
        self._pkg, self._journal, self._letters, self._clock = pkg, journal, letters, clock
        self._limits = limits or RefusalLimits()

    def run(
        self,
        path: Path,
        on_progress: OnProgress | None = None,
        batch: int = BATCH,
        *,
        id_prefix: str | None = None,
        replacing: Replacing | None = None,
    ) -> ImportReport:
        """
        Import a file. Bad rows are rejected, and so are relationships of rejected nodes; the rest goes on.

        `id_prefix` stands before the row numbers that name nodes without `properties.id` (default: the file's name
        and `#`). With `replacing`, what the source no longer states is deleted. Raises `ConfigError` when the file
        can not be read, is no dump, or has the prefix of another file, and what `Statements.check` raises.
        """
        try:
            stat = path.stat()
        except OSError as error:
            raise ConfigError(f"{path} can not be read: {error.strerror}") from error
        if path.is_dir():
            raise ConfigError(f"{path} is a directory: give a file in it")
        said = id_prefix if replacing is None else f"{id_prefix}\0{replacing.source}"
        name = f"{IMPORT_PREFIX}{_digest(path.resolve(), stat.st_size, stat.st_mtime_ns, said)}"
        space = FileSpace(path, id_prefix, self._journal)
        return _Run(self, path, stat, name, space, batch, on_progress, replacing).run()

    def replay(self, letter: DeadLetter) -> bool:
        """Import a rejected row again, on its own; False when it is rejected once more, or not kept whole."""
        if letter.payload is None or not letter.can_be_replayed:
            return False
        try:
            with self._pkg.transaction() as tx:
                RowLetter.decode(letter.payload).write(tx, self._pkg)
        except REJECTIONS as error:
            self._letters.bury([replace(letter, error=str(error), attempts=letter.attempts + 1)])
            return False
        return True


class _Run:
    def __init__(
        self,
        importer: Importer,
        path: Path,
        stat: os.stat_result,
        name: str,
        space: FileSpace,
        batch: int,
        on_progress: OnProgress | None,
        replacing: Replacing | None,
    ) -> None:
        self._replacing = replacing
        self._statements: Statements | None = None  # begun by `run`
        self._pkg, self._journal = importer._pkg, importer._journal  # noqa: SLF001  (same module)
        source = Source(str(path), f"{name}:", form=_FORM)
        self._refusals = Refusals(importer._letters, importer._clock, source, importer._limits)  # noqa: SLF001
        self._path, self._stat, self._name, self._batch = path, stat, name, batch
        self._space, self._on_progress = space, on_progress
        self._left_out = LeftOut()
        self._report = ImportReport(left_out=self._left_out.counts, notes=self._left_out.notes)
        self._unit, self._stage = "line", 0
        self._nodes: set[int] = set()
        """Numbers of the lines that the second pass need not parse again."""
        self._parsed: dict[int, DumpRelationship] = {}
        """Relationships that the first pass has read, by line: as many as may be held for the second."""
        self._head: DumpHead | None = None
        self._seen = 0
        """How many lines the file has, but for the head."""

    def run(self) -> ImportReport:
        cursor = start_of(self._journal.get(self._name), self._pkg, self._replacing)
        self._report.resumed_at_line, self._report.rejected = cursor.line, cursor.rejected
        if self._replacing is not None:
            self._statements = Statements(self._pkg, self._replacing, cursor.run)
        for stage in (0, 1) if cursor.stage < DELETING else ():
            self._pass(stage, cursor)
        self._compare_with_head()
        if self._has_changed():
            tell_change(str(self._path), self._report, self._statements, lambda: self._save(None))
        if self._statements is not None:
            finish_replacing(self._statements, self._report, self._save, is_decided=cursor.stage == DELETING)
        # Done: the next import of this file starts anew, and so overwrites what was changed since.
        self._save(None)
        return self._report

    def _has_changed(self) -> bool:
        try:
            now = self._path.stat()
        except OSError:  # it is gone
            return True
        return (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns)

    def _save(self, stage: int | None, line: int = 0) -> None:
        """Keep where to go on; None: at the beginning."""
        run = None if self._statements is None else self._statements.run
        cursor = None if stage is None else Cursor(stage, line, self._report.rejected, run).dump()
        self._journal.set(self._name, cursor)

    def _pass(self, stage: int, start: Cursor) -> None:
        self._stage = stage
        rows: list[_Read] = []
        number = done = size_bytes = 0
        is_skipping = True
        for number, line, size, done in self._lines():
            if stage == 1 and number in self._nodes:
                continue
            skip = (stage, number) <= (start.stage, start.line)
            if is_skipping and not skip:
                self._recall(rows)
                rows, size_bytes, is_skipping = [], 0, False
            row = self._parse(line, number, stage, report=not skip)
            if isinstance(row, DumpHead):
                self._begin_with(row, number, line, stage)
                continue
            self._seen += stage == 0
            if row is None or isinstance(line, CutLine):
                continue
            read = self._named(row, number, line, stage, report=not skip)
            if read is None:
                continue
            rows.append(read)
            size_bytes += size
            if len(rows) >= self._batch or size_bytes >= BATCH_BYTES:
                if skip:
                    self._recall(rows)
                else:
                    self._commit(rows, stage, number, done)
                rows, size_bytes = [], 0
        self._refusals.finish()
        if is_skipping:
            self._recall(rows)
            rows = []
        self._commit(rows, stage, number, done)

    def _lines(self) -> Iterator[tuple[int, Line, int, int]]:
        """Yield number, text and size (bytes) of each row, and how many bytes of the file have been read."""
        with lines_read(self._path) as (content, file):
            read = told_of(iter(partial(content.read, CHUNK_BYTES), b""), lambda: self._tell(file.tell()))
            chunks = checked_chunks(read, str(self._path), _FORM)
            first = next(chunks, b"")
            depth = row_depth(first)
            self._unit = "line" if depth is None else "row"
            chunks = chain([first], chunks)
            found = bounded_lines(chunks) if depth is None else document_rows(chunks, depth)
            for number, (line, size) in enumerate(found, 1):
                text = line if isinstance(line, CutLine) else line.strip()
                if text:
                    yield number, text, size, file.tell()

    def _begin_with(self, head: DumpHead, number: int, line: Line, stage: int) -> None:
        """Import the schema of an export, version by version, before the rows that use it."""
        self._head = head
        if stage > 0:
            return
        try:
            for at in range(len(head.schema)):
                with self._pkg.transaction() as tx:
                    import_schema(tx, head, slice(at, at + 1))
                self._report.position = tx.position
        except InvalidInputError as error:
            self._reject(_Read(number, line), error)

    def _compare_with_head(self) -> None:
        """Report an error when the head of an export counts more rows than the file has."""
        if self._head is None:
            return
        missing = self._head.entities + self._head.relationships - self._seen
        if missing > 0:
            self._report.rejected += missing
            self._report.errors.insert(
                0, f"{missing} rows that the file's head counts are not there: it was cut short, make the export anew"
            )

    def _parse(self, line: Line, number: int, stage: int, *, report: bool) -> DumpRow | DumpHead | None:
        try:
            if isinstance(line, CutLine):
                raise refusal_of(line, f"{self._unit} {number}")
            row = self._parsed.pop(number, None) or parse_row(line, number, self._unit)
        except InvalidInputError as error:
            if report and stage == 0:  # once, not in both passes
                self._reject(_Read(number, line), error)
            return None
        self._refusals.prove()
        if stage == 0 and isinstance(row, DumpRelationship) and self._may_hold(line):
            self._parsed[number] = row
        return row

    def _may_hold(self, line: str) -> bool:
        return len(self._parsed) < _PARSED_MAX and len(line) <= _PARSED_SIZE_MAX

    def _named(self, row: DumpRow, number: int, line: str, stage: int, *, report: bool) -> _Read | None:
        """Return a row of this pass with its nodes named; None for a row of the other pass, or a refused one."""
        if isinstance(row, DumpNode) is not (stage == 0):
            return None
        read = _Read(number, line, row)
        try:
            if isinstance(row, DumpNode):
                self._nodes.add(number)
                return read._replace(named=(self._space.name(row),))
            return read._replace(named=self._space.ends(row))
        except REJECTIONS as error:
            if report:
                self._reject(read, error)
            elif isinstance(row, DumpRelationship):
                self._space.is_first(row)  # keep what the interrupted run has told it: that it is the first
            return None

    def _recall(self, rows: list[_Read]) -> None:
        """Learn from the graph what an interrupted import did with rows."""
        if not rows:
            return
        nodes = {read.named[0].id: read for read in rows if isinstance(read.row, DumpNode)}
        states = self._pkg.read([entity_key(entity_id) for entity_id in nodes], {}).states
        for entity_id, read in nodes.items():
            state = states.get(entity_key(entity_id))
            if not isinstance(state, EntityState) or state.entity.type != read.named[0].type:
                self._space.refuse(read.row_id)
        with self._pkg.transaction() as tx:
            for read in rows:
                if isinstance(read.row, DumpRelationship):
                    self._space.key(tx, read.row, read.named[0], read.named[1])

    def _commit(self, rows: list[_Read], stage: int, line: int, done: int) -> None:
        with self._pkg.transaction() as tx:
            for read in rows:
                try:
                    self._write(tx, read)
                except REJECTIONS as error:
                    if stage == 0:
                        self._space.refuse(read.row_id)
                    self._reject(read, error)
            if self._statements is not None:
                self._statements.write(tx)
        self._report.position = tx.position
        self._refusals.flush()
        # After the commit: a crash in between imports this batch once more, which changes nothing.
        self._save(stage, line)
        self._tell(done)

    def _tell(self, done: int) -> None:
        """Tell the progress; whoever is told may end the import so."""
        if self._on_progress is not None:
            counted = self._report.entities + self._report.relationships
            self._on_progress(
                ImportProgress(self._stage * self._stat.st_size + done, 2 * self._stat.st_size, counted)
            )

    def _write(self, tx: GraphTransaction, read: _Read) -> None:
        row = read.row
        if isinstance(row, DumpNode):
            properties = self._left_out.kept(row.entity_type, row.properties)
            tx.upsert_entity(row.entity_type, read.named[0].id, properties)
            self._note(entity_key(read.named[0].id))
            self._report.entities += 1
        elif isinstance(row, DumpRelationship):
            source, target = read.named
            properties = self._left_out.kept(row.type, row.properties)
            key = self._space.key(tx, row, source, target)
            tx.relate(source.id, row.type, target.id, properties, discriminator=key, replace=True)
            self._note(relationship_key(RelationshipRef(row.type, source.id, target.id, key).id))
            self._report.relationships += 1

    def _note(self, key: RecordKey) -> None:
        if self._statements is not None:
            self._statements.note(key)

    def _reject(self, read: _Read, error: SlipstreamError) -> None:
        self._report.rejected += 1
        where = f"{self._unit} {read.number}"
        text = str(error) if str(error).startswith(f"{where}: ") else f"{where}: {error}"
        if len(self._report.errors) < REJECTED_SHOWN:
            self._report.errors.append(text)
        payload = None if isinstance(read.line, CutLine) else self._letter(read, read.line, error).encode()
        self._refusals.refuse(f"{self._name}:{read.number}", read.line, where, error, text, payload)

    def _letter(self, read: _Read, text: str, error: SlipstreamError) -> RowLetter:
        letter = RowLetter(text, self._space.prefix)
        if isinstance(read.row, DumpNode):
            return replace(letter, is_taken=isinstance(error, AlreadyExistsError))
        if isinstance(read.row, DumpRelationship):
            return replace(letter, ends=self._space.ends_told(read.row), is_first=self._space.is_first(read.row))
        return letter


class _Read(NamedTuple):
    """A row as it was read; `named` is the node itself, or both ends of the relationship."""

    number: int
    line: Line
    row: DumpRow | None = None
    named: tuple[Named, ...] = ()

    @property
    def row_id(self) -> str:
        return "" if self.row is None else self.row.row_id


def _digest(path: Path, size_bytes: int, modified_ns: int, id_prefix: str | None) -> str:
    chosen = "" if id_prefix is None else f"\0{id_prefix}"
    return hashlib.blake2b(
        f"{path}\0{size_bytes}\0{modified_ns}{chosen}".encode("utf-8", "surrogateescape"), digest_size=8
    ).hexdigest()
