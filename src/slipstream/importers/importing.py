"""Writes what a reader yields into a graph: in batches, resumably, each row once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from slipstream.domain.errors import AlreadyExistsError, ConfigError, SlipstreamError
from slipstream.domain.keys import RecordKey, RelationshipRef, entity_key, relationship_key
from slipstream.domain.refusals import CutLine, RefusalLimits
from slipstream.events.file_space import Named
from slipstream.events.formats.dump import DEFAULT_TYPE, node_row, relationship_row
from slipstream.events.import_state import (
    DELETING,
    REJECTED_SHOWN,
    REJECTIONS,
    Cursor,
    ImportProgress,
    ImportReport,
    OnProgress,
    finish_replacing,
    start_of,
    tell_change,
)
from slipstream.events.importing import BATCH, BATCH_BYTES, IMPORT_PREFIX
from slipstream.events.leaving_out import LeftOut
from slipstream.events.refusing import Refusals, Source
from slipstream.events.row_letters import RowLetter
from slipstream.events.statements import Replacing, Statements
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, RowReader, Stage, TellingReader
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphTransaction, GraphWriter
from slipstream.ports.journal import DeadLetters, NamedValues

_ROW_BYTES = 100
"""About how many bytes a row takes beside its texts."""


@dataclass(frozen=True, slots=True)
class SourceImporter:
    """
    Imports sources, each batch one transaction. Idempotent: rows that are there already, unchanged, make no event.

    After an interruption or a kill, importing the same source again goes on after the last committed batch.
    """

    pkg: GraphWriter
    values: NamedValues
    letters: DeadLetters
    clock: Clock
    limits: RefusalLimits = field(default_factory=RefusalLimits)

    def run(
        self,
        reader: RowReader,
        on_progress: OnProgress | None = None,
        *,
        replacing: Replacing | None = None,
        batch: int = BATCH,
    ) -> ImportReport:
        """
        Import a source. Rows that can not be taken are dead letters; the rest goes on.

        With `replacing`, what the source no longer states is deleted. Raises `ConfigError` as the reader does, and
        what `Statements.check` raises.
        """
        return _Run(self, reader, on_progress, replacing, batch).run()


class _Run:
    def __init__(
        self,
        importer: SourceImporter,
        reader: RowReader,
        on_progress: OnProgress | None,
        replacing: Replacing | None,
        batch: int,
    ) -> None:
        self._importer, self._reader, self._on_progress, self._batch = importer, reader, on_progress, batch
        self._identity = reader.identity
        told = f"{reader.form}\0{self._identity}\0{'' if replacing is None else replacing.source}"
        self._name = IMPORT_PREFIX + hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        source = Source(reader.name, f"{self._name}:", form=reader.form)
        self._refusals = Refusals(importer.letters, importer.clock, source, importer.limits)
        self._left_out = LeftOut()
        self._report = ImportReport(left_out=self._left_out.counts, notes=self._left_out.notes)
        self._replacing = replacing
        self._statements: Statements | None = None  # begun by `run`
        self._seen: set[int] = set()
        """Hashes of the ids that this source gave to entities, some 60 bytes each."""

    def run(self) -> ImportReport:
        start = start_of(self._importer.values.get(self._name), self._importer.pkg, self._replacing)
        self._report.resumed_at_line, self._report.rejected = start.line, start.rejected
        if start.line or start.stage:
            self._refusals.prove()  # a part of it was taken
        if self._replacing is not None:
            self._statements = Statements(self._importer.pkg, self._replacing, start.run)
        for stage in (Stage.ENTITIES, Stage.RELATIONSHIPS):
            if stage >= start.stage and (stage is Stage.ENTITIES or self._reader.has_relationships):
                self._pass(stage, start.line if stage == start.stage else 0)
        if isinstance(self._reader, TellingReader):
            self._report.notes.extend(self._reader.notes)
        if self._has_changed():
            tell_change(self._reader.name, self._report, self._statements, lambda: self._save(None))
        if self._statements is not None:
            finish_replacing(
                self._statements,
                self._report,
                self._save,
                is_decided=start.stage == DELETING,
                restate=partial(self._restate, self._statements),
            )
        self._save(None)  # done: the next import of this source starts anew
        return self._report

    def _restate(self, statements: Statements) -> None:
        """Read once more what is named, and leave what a row described before as the naming alone would make it."""
        with closing(_passed_on(self._reader.rows(Stage.ENTITIES, lambda _: None))) as found:
            contents = (row.content for row in found)
            named = (row for row in contents if isinstance(row, EntityRow) and row.is_mentioned)
            while page := list(islice(named, self._batch)):
                with self._importer.pkg.transaction() as tx:
                    for row in page:
                        properties = self._left_out.kept(row.type, row.properties)
                        statements.restate(tx, entity_key(row.id), row.type, properties)
                self._report.position = tx.position

    def _has_changed(self) -> bool:
        try:
            return self._reader.identity != self._identity
        except ConfigError:  # it is gone
            return True

    def _save(self, stage: int | None, line: int = 0) -> None:
        """Keep where to go on; None: at the beginning."""
        run = None if self._statements is None else self._statements.run
        cursor = None if stage is None else Cursor(stage, line, self._report.rejected, run).dump()
        self._importer.values.set(self._name, cursor)

    def _pass(self, stage: Stage, after: int) -> None:
        done = 0

        def tell(done_bytes: int) -> None:
            nonlocal done
            done = done_bytes
            self._tell(stage, done)

        with closing(_passed_on(self._reader.rows(stage, tell))) as found:
            rows: list[Row] = []
            size_bytes = 0
            for row in found:
                if row.number <= after:
                    self._recall(row)
                    continue
                # Rows of one number stay together: an interrupted import goes on behind a number.
                is_full = len(rows) >= self._batch or size_bytes >= BATCH_BYTES
                if is_full and row.number != rows[-1].number:
                    self._commit(stage, rows)
                    self._tell(stage, done)
                    rows, size_bytes = [], 0
                rows.append(row)
                size_bytes += _size_bytes(row)
            if rows:
                self._commit(stage, rows, is_last=True)
            self._refusals.finish()
            self._tell(stage, self._reader.size_bytes)

    def _tell(self, stage: Stage, done_bytes: int) -> None:
        """Tell the progress; whoever is told may end the import so."""
        if self._on_progress is not None:
            size, counted = self._reader.size_bytes, self._report.entities + self._report.relationships
            total = 2 * size if self._reader.has_relationships else size
            self._on_progress(ImportProgress(stage * size + min(done_bytes, size), total, counted))

    def _recall(self, row: Row) -> None:
        """Learn what an interrupted import did with a row: whether its id is taken."""
        if isinstance(row.content, EntityRow) and not row.content.is_mentioned:
            self._seen.add(hash(row.content.id))

    def _commit(self, stage: Stage, rows: list[Row], *, is_last: bool = False) -> None:
        with self._importer.pkg.transaction() as tx:
            for at, row in enumerate(rows):
                try:
                    self._write(tx, row.content)
                except REJECTIONS as error:
                    self._reject(row, f"{stage}.{row.number}.{at}", error)
            if self._statements is not None:
                self._statements.write(tx)
        self._report.position = tx.position
        if is_last:
            self._refusals.finish()
        else:
            self._refusals.flush()
        # After the commit: a crash in between imports this batch once more, which changes nothing.
        self._save(stage, rows[-1].number)

    def _write(self, tx: GraphTransaction, content: EntityRow | RelationshipRow | RefusedRow) -> None:
        if isinstance(content, RefusedRow):
            raise content.error
        if isinstance(content, RelationshipRow):
            self._write_relationship(tx, content)
        elif content.is_mentioned:
            self._mention(tx, content)
        else:
            self._write_entity(tx, content)
        self._refusals.prove()

    def _write_entity(self, tx: GraphTransaction, row: EntityRow) -> None:
        key, there = entity_key(row.id), tx.entity(row.id)
        properties = self._left_out.kept(row.type, row.properties)
        place = hash(row.id)
        if place in self._seen and there is not None and (there.type, there.properties) != (row.type, properties):
            raise AlreadyExistsError(
                f"the id {row.id!r} comes twice, with different properties, and one would overwrite the other: give "
                "each its own, or mend the source"
            )
        if there is not None and there.type != row.type and there.properties and not self._states(tx, key):
            raise AlreadyExistsError(
                f"{row.id!r} is the id of a {there.type} already, which a {row.type} would overwrite: give "
                "--id-prefix to tell the ids of this source from others, or delete that one"
            )
        self._seen.add(place)
        tx.upsert_entity(row.type, row.id, properties)
        self._note(key)
        self._report.entities += 1

    def _mention(self, tx: GraphTransaction, row: EntityRow) -> None:
        """Create an entity that something leads to, if nobody has it; the source states it if it made it."""
        is_new = tx.entity(row.id) is None
        if is_new:
            tx.upsert_entity(row.type, row.id, self._left_out.kept(row.type, row.properties))
            self._report.entities += 1
        if self._statements is not None:
            self._statements.note_named(tx, entity_key(row.id), is_made=is_new)

    def _write_relationship(self, tx: GraphTransaction, row: RelationshipRow) -> None:
        properties = self._left_out.kept(row.type, row.properties)
        ends = (row.source_id, row.type, row.target_id)
        tx.relate(*ends, properties, discriminator=row.discriminator, replace=True)
        self._note(relationship_key(_ref(row).id))
        self._report.relationships += 1

    def _states(self, tx: GraphTransaction, key: RecordKey) -> bool:
        return self._statements is not None and self._statements.has(tx, key)

    def _note(self, key: RecordKey) -> None:
        if self._statements is not None:
            self._statements.note(key)

    def _reject(self, row: Row, letter: str, error: SlipstreamError) -> None:
        self._report.rejected += 1
        text = str(error) if str(error).startswith(f"{row.where}: ") else f"{row.where}: {error}"
        if len(self._report.errors) < REJECTED_SHOWN:
            self._report.errors.append(text)
        if isinstance(row.content, RefusedRow):
            line = row.content.text
            # Only the source can mend it: a replay would take its text for a row of a dump, and lose the reason.
            payload: str | None = CutLine.of(line, self._importer.limits.line_bytes).as_json(self._reader.name)
        else:
            line, payload = _letter(row.content)
        self._refusals.refuse(f"{self._name}:{letter}", line, row.where, error, text, payload)


def _passed_on(rows: Iterable[Row]) -> Generator[Row, None, None]:
    """Yield rows; closing this closes the reader's generator, and so its files."""
    yield from rows


def _ref(row: RelationshipRow) -> RelationshipRef:
    return RelationshipRef(row.type, row.source_id, row.target_id, row.discriminator)


def _letter(row: EntityRow | RelationshipRow) -> tuple[str, str]:
    """Return the text of a row as a dump has it, and the payload of its dead letter, which is that and more."""
    if isinstance(row, EntityRow):
        text = _dumped(node_row(row.id, row.type, row.properties))
        return text, RowLetter(text, "").encode()
    text = _dumped(relationship_row(_ref(row), (DEFAULT_TYPE, DEFAULT_TYPE), row.properties))
    return text, RowLetter(text, "", [Named(row.source_id, ""), Named(row.target_id, "")]).encode()


def _dumped(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=str)


def _size_bytes(row: Row) -> int:
    if isinstance(row.content, RefusedRow):
        return _ROW_BYTES + len(row.content.text)
    texts = (len(value) for value in row.content.properties.values() if isinstance(value, str))
    return _ROW_BYTES + sum(texts)
