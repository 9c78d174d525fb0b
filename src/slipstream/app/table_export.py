"""Export of the entities of one type as a table, as of one moment; `import` reads the same back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from slipstream.app.exporting import TOLD_EVERY, ExportReport, OnRow, output_to, properties_of, suffix_of
from slipstream.domain.entities import Entity
from slipstream.domain.errors import ConfigError, InvalidInputError, PoisonEventError
from slipstream.importers.options import Relate
from slipstream.importers.tables.cells import cell_of
from slipstream.importers.tables.dialect import separator_of
from slipstream.ports.backup import PinnedGraph

_SUFFIXES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_ID = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """What a table holds: the entities of a type, and who they are related to, in columns as `import` takes them."""

    entity_type: str
    id_column: str = _ID
    """What the column of the ids is called; a property of that name must be the id, as after `import --id`."""
    relate: tuple[Relate, ...] = ()
    """Columns of the ids at the other ends of relationships; one for each type of relationship."""
    lists: frozenset[str] = frozenset()
    """Those of them that hold several ids, as `import --column COLUMN=list` takes them."""
    delimiter: str | None = None
    """Between cells; None: a tab for .tsv and .tab, else a comma."""


def is_table(path: Path | str) -> bool:
    """Whether a file's name says that it is a table."""
    return suffix_of(path) in _SUFFIXES


class TableExporter:
    """Writes tables of a graph, read in one read transaction: a first time for the columns, a second for the rows."""

    def __init__(self, pin: Callable[[], PinnedGraph]) -> None:
        self._pin = pin

    def export(self, path: Path | str, table: TableSpec, on_row: OnRow | None = None) -> ExportReport:
        """
        Write the entities of one type to a file, packed as its name says, or to standard output (`-`).

        A file appears under its name only when it is whole. Raises `ConfigError` for a path that can not be a file
        and for a type that nothing is of, `InvalidInputError` for columns that do not fit, and `UnavailableError`
        when writing fails.
        """
        delimiter = _SUFFIXES.get(suffix_of(path), ",") if table.delimiter is None else separator_of(table.delimiter)
        with closing(self._pin()) as graph:
            writing = _Writing(graph, table, delimiter, on_row)
            names = writing.columns()
            with output_to(str(path)) as stream:
                return writing.run(stream, names)


class _Writing:
    def __init__(self, graph: PinnedGraph, table: TableSpec, delimiter: str, on_row: OnRow | None) -> None:
        self._graph, self._table, self._on_row = graph, table, on_row
        self._write = _row_writer(delimiter)
        facts = graph.facts()
        self._total = facts.entities
        self._report = ExportReport(facts.position, facts.schema_version)

    def columns(self) -> list[str]:
        """Return the names of all properties, in the order in which they first come."""
        table = self._table
        names: dict[str, None] = {}
        found = 0
        for entity in self._graph.entities():
            if entity.type != table.entity_type:
                continue
            found += 1
            names.update(dict.fromkeys(properties_of(entity) or ()))  # one that is unreadable is told with its row
        if not found:
            raise ConfigError(f"nothing is of the type {table.entity_type!r}: look at what `slipstream status` tells")
        names.pop(table.id_column, None)
        if len({relate.relationship_type for relate in table.relate}) < len(table.relate):
            raise InvalidInputError("two columns are of one type of relationship: give each its own", field="relate")
        for relate in table.relate:
            if relate.column in names or relate.column == table.id_column:
                raise InvalidInputError(f"{relate.column!r} is a property already: call it otherwise", field="relate")
        return list(names)

    def run(self, stream: IO[bytes], names: Sequence[str]) -> ExportReport:
        table, report = self._table, self._report
        related = [relate.column for relate in table.relate]
        stream.write(self._write([table.id_column, *names, *related]))
        others = self._others()
        for at, entity in enumerate(self._graph.entities()):
            if self._on_row is not None and at % TOLD_EVERY == 0:
                self._on_row(at, self._total)
            if entity.type != table.entity_type:
                continue
            ends = others(entity.id)
            try:
                stream.write(self._write(self._cells(entity, names, ends)))
            except PoisonEventError as error:
                report.leave_out(str(error))
                continue
            report.entities += 1
            report.relationships += sum(map(len, ends))
        if self._on_row is not None:
            self._on_row(self._total, self._total)
        return report

    def _cells(self, entity: Entity, names: Sequence[str], ends: Sequence[Sequence[str]]) -> list[str | None]:
        properties: Mapping[str, Any] = entity.properties
        table, id_column = self._table, self._table.id_column
        if id_column in properties and id_column != _ID and properties[id_column] != entity.id:
            raise InvalidInputError(
                f"{id_column!r} is a property of {entity.id!r} that is not its id: call the column otherwise",
                field="id_column",
            )
        cells = [entity.id, *(cell_of(properties.get(name)) for name in names)]
        return [*cells, *map(self._cell_of_ids, table.relate, ends)]

    def _cell_of_ids(self, relate: Relate, ids: Sequence[str]) -> str | None:
        if not ids:
            return None
        if relate.column in self._table.lists:
            return cell_of(list(ids))
        if len(ids) > 1:
            raise InvalidInputError(
                f"something is related by {relate.relationship_type} to several, as {ids[0]!r} and {ids[1]!r}: say "
                f"that the column is a list, with --column {relate.column}=list",
                field="relate",
            )
        return ids[0]

    def _others(self) -> Callable[[str], list[list[str]]]:
        """
        Return what gives the ends of an entity's relationships, by column; to be asked in the order of the ids.

        Both come in one order from the graph, so nothing is held.
        """
        places = {relate.relationship_type: at for at, relate in enumerate(self._table.relate)}
        if not places:
            return lambda _: []
        found = (
            (each.ref.source_id, each.ref.type, each.ref.target_id) for each, _, _ in self._graph.relationships()
        )
        ahead = next(found, None)

        def of(entity_id: str) -> list[list[str]]:
            nonlocal ahead
            ends: list[list[str]] = [[] for _ in places]
            while ahead is not None and ahead[0] <= entity_id:
                source, relationship_type, target = ahead
                at = places.get(relationship_type)
                if source == entity_id and at is not None and target not in ends[at][-1:]:
                    ends[at].append(target)
                ahead = next(found, None)
            return ends

        return of


def _row_writer(delimiter: str) -> Callable[[Sequence[str | None]], bytes]:
    """Return what writes a row as RFC 4180 has it; a cell is quoted where it must be, and as an empty text."""
    special = re.compile(rf'["\r\n\ufeff{re.escape(delimiter)}]')

    def cell(text: str | None) -> str:
        if text is None:
            return ""
        if text and special.search(text) is None:
            return text
        return '"' + text.replace('"', '""') + '"'

    return lambda cells: (delimiter.join(map(cell, cells)) + "\r\n").encode()
