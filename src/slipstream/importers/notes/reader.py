"""Reads a vault of notes: a folder, some Markdown files, or a zip of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.notes.identity import Known, KnownNote, Listing, known_notes
from slipstream.importers.notes.note_rows import NOTE
from slipstream.importers.notes.parsing import parse_note
from slipstream.importers.notes.planning import Plan, plan_of
from slipstream.importers.notes.vault import Vault
from slipstream.importers.opening import SourceFile
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, Stage, Tell
from slipstream.ports.graph import GraphReader

_HELD_MAX = 200_000
"""How many relationships are held for the second reading, so that most vaults are parsed once."""


def reader(
    given: Path | Sequence[SourceFile], options: ReadOptions, *, graph: GraphReader | None = None
) -> NotesReader:
    """
    Return the reader of a folder of notes, or of files.

    `graph` is what they are imported into: it remembers the ids of notes, so that a moved one keeps its own. Raises
    `InvalidInputError` for an option that means nothing for notes, and `ConfigError` where there are none.
    """
    options.refuse_but("entity_type", "id_prefix")
    vault, note_type = Vault(given, options.id_prefix), options.entity_type or NOTE
    known = partial(known_notes, graph, vault.prefix, note_type) if isinstance(graph, Listing) else None
    return NotesReader(vault, options, known)


class NotesReader:
    """Reads a vault; the same note among the same notes gives the same rows."""

    form = "notes"

    def __init__(self, vault: Vault, options: ReadOptions, known: Known | None) -> None:
        if not vault.files:
            raise ConfigError(f"{vault.shown} holds no notes (.md): name the folder that does")
        self.name = vault.shown
        self.identity = f"{vault.identity}\0{options.told()}"
        self.size_bytes = vault.size_bytes
        self.has_relationships = True
        self.prefix = vault.prefix
        """What the ids of its notes begin with."""
        self.note_type = options.entity_type or NOTE
        self._vault, self._known = vault, known
        self._plan: Plan | None = None
        self._held: dict[str, list[RelationshipRow]] = {}
        self._held_count = 0

    @property
    def notes(self) -> list[str]:
        """What else there is to tell: files that were not taken."""
        suffixes = Counter(PurePosixPath(path).suffix.lower() or "without ending" for path in self._vault.attachments)
        if not suffixes:
            return []
        told = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(8))
        counted = (
            "1 file is no note, and was"
            if suffixes.total() == 1
            else f"{suffixes.total():,} files are no notes, and were"
        )
        return [f"{counted} not taken: {told}"]

    def rows(self, stage: Stage, tell: Tell) -> Iterator[Row]:
        """Yield the rows of one stage, a number for each note."""
        with self._vault.reading():
            plan = self._planned(tell)
            done = 0
            for number, path in enumerate(self._vault.files, 1):
                yield from self._rows_of(plan, stage, number, path)
                done += self._vault.stamps[path][0]
                tell(done)

    def _planned(self, tell: Tell) -> Plan:
        if self._plan is None:
            known: Sequence[KnownNote] = self._known() if self._known is not None else ()
            self._plan = plan_of(self._vault, known, self.note_type, lambda: tell(0))
        return self._plan

    def _rows_of(self, plan: Plan, stage: Stage, number: int, path: str) -> Iterator[Row]:
        where = path.encode("utf-8", "backslashreplace").decode()
        held = self._held.pop(path, None)
        if stage is Stage.RELATIONSHIPS and held is not None:
            yield from (Row(number, where, row) for row in held)
            return
        try:
            if path in plan.refused:
                raise plan.refused[path]
            note = parse_note(path, self._vault.text(path))
        except InvalidInputError as error:
            if stage is Stage.ENTITIES:
                yield Row(number, where, RefusedRow(error, where))
                yield from (Row(number, where, row) for row in self._kept(plan, path))
            return
        if stage is Stage.RELATIONSHIPS:
            yield from (Row(number, where, row) for row in plan.rows.relationships(note))
            return
        yield from (Row(number, where, row) for row in plan.rows.entities(note))
        self._hold(path, list(plan.rows.relationships(note)))

    def _kept(self, plan: Plan, path: str) -> Iterator[EntityRow]:
        """Say that a note which can not be read is still there, if the graph has it."""
        known = plan.known.get(plan.rows.ids.get(path, ""))
        if known is not None:
            yield EntityRow(known.id, known.type, is_mentioned=True)

    def _hold(self, path: str, rows: list[RelationshipRow]) -> None:
        if self._held_count + len(rows) <= _HELD_MAX:
            self._held[path] = rows
            self._held_count += len(rows)
