"""CSV and TSV: each row an entity, each column a property; nothing is guessed of what a text may mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.hints import near_miss
from slipstream.importers.files_reader import FilesReader
from slipstream.importers.opening import SourceFile
from slipstream.importers.options import KINDS, ReadOptions, Relate
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, RowReader, Stage, Tell
from slipstream.importers.tables.cells import LIST_SEPARATOR, PARSERS, TEXTUAL, list_of
from slipstream.importers.tables.dialect import (
    cells_of,
    check_names,
    delimiter_of,
    form_of,
    header_of,
    separator_notes,
    text_of,
    type_by_name,
)
from slipstream.importers.tables.records import BrokenRecord, Cells, Record, records

ID = "id"
_TYPE_PLACE = "{type}"

Parse = Callable[[str], Any]
Found = tuple[EntityRow, Sequence[tuple[str, EntityRow]]]
"""The entity of a row, and what it is related to: by which type, and to whom."""


def reader(files: Sequence[SourceFile], options: ReadOptions) -> RowReader:
    """
    Return the reader of tables, each with a first line that names its columns.

    Raises `InvalidInputError` for an option that does not fit them, and `ConfigError` for one that can not be read.
    """
    options.refuse_but("entity_type", "id_column", "relate", "columns", "delimiter", "id_prefix")
    return CsvReader([_table_of(file, options) for file in files], options)


@dataclass(frozen=True, slots=True)
class Link:
    """A column of ids, and what they are related by."""

    at: int
    relate: Relate
    is_list: bool
    prefix: str


@dataclass(frozen=True, slots=True)
class Table:
    """One file, and what is in its columns."""

    file: SourceFile
    delimiter: str
    header: tuple[str, ...]
    entity_type: str
    id_at: int
    id_prefix: str
    properties: tuple[tuple[int, str], ...]
    """Columns that are properties: where, and by which name."""
    parsed: tuple[tuple[str, Parse, bool], ...]
    """Properties that are no text: which, how they are read, and whether an empty text is a value."""
    links: tuple[Link, ...]

    def found(self, cells: Cells) -> Found:
        """Return what a row says; raises `InvalidInputError` for a cell that can not be what it should."""
        if not (own := cells[self.id_at]):
            raise InvalidInputError("is empty: each row needs an id", field=self.header[self.id_at])
        properties: dict[str, Any] = {name: cell for at, name in self.properties if (cell := cells[at]) is not None}
        for name, parse, is_textual in self.parsed:
            text = properties.get(name)
            if text is None:
                continue
            if not text and not is_textual:
                del properties[name]
                continue
            properties[name] = _parsed(name, parse, text)
        entity = EntityRow(self.id_prefix + own, self.entity_type, properties)
        return entity, self._ends(cells) if self.links else ()

    def _ends(self, cells: Cells) -> list[tuple[str, EntityRow]]:
        found: dict[tuple[str, str], EntityRow] = {}
        for link in self.links:
            text = cells[link.at]
            others = [] if not text else _ids(self.header[link.at], text) if link.is_list else [text]
            for other in others:
                entity = EntityRow(link.prefix + other, link.relate.other_type, is_mentioned=True)
                found.setdefault((link.relate.relationship_type, entity.id), entity)
        return [(relationship_type, entity) for (relationship_type, _), entity in found.items()]


def _ids(column: str, text: str) -> list[str]:
    items = list_of(text)
    if not all(isinstance(item, str) for item in items):
        raise InvalidInputError(f"{_shown(text)} must hold texts: they are ids", field=column)
    return [item for item in items if item]


def _parsed(column: str, parse: Parse, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidInputError(f"{_shown(text)} {error}", field=column) from error


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


class CsvReader(FilesReader):
    """Reads tables row by row; holds one row."""

    def __init__(self, tables: Sequence[Table], options: ReadOptions) -> None:
        super().__init__([table.file for table in tables], options)
        self._tables = tables
        _check_columns(tables, options)

    @property
    def form(self) -> str:
        """What is read, and what separates its cells."""
        return form_of("CSV", {table.delimiter for table in self._tables})

    @property
    def has_relationships(self) -> bool:
        """Whether a column is related to others."""
        return any(table.links for table in self._tables)

    @property
    def notes(self) -> Sequence[str]:
        """What was found to separate the cells, unless it is a comma, or was said."""
        return separator_notes({table.file: table.delimiter for table in self._tables}, self._options.delimiter)

    def rows(self, stage: Stage, tell: Tell) -> Iterator[Row]:
        """Yield entities and who is mentioned by them, or relationships; raises `ConfigError` as `records` does."""
        number = before = 0
        for table in self._tables:
            shown = "" if len(self._tables) == 1 else f"{table.file.name}, "
            found = records(table.file, table.delimiter, tell, before)
            with closing(found):
                next(found)  # the names of the columns
                for at, record in enumerate(found, 1):
                    number += 1
                    where = f"{shown}row {at}, {record.lines}"
                    yield from _rows_of(table, record, stage, number, where)
            before += table.file.size_bytes


def _rows_of(table: Table, record: Record | BrokenRecord, stage: Stage, number: int, where: str) -> list[Row]:
    try:
        entity, others = table.found(cells_of(record, len(table.header)))
    except InvalidInputError as error:
        if stage is not Stage.ENTITIES:
            return []  # it was told then
        return [Row(number, where, RefusedRow(error, text_of(record, table.delimiter)))]
    if stage is Stage.ENTITIES:
        return [Row(number, where, entity), *(Row(number, where, other) for _, other in others)]
    return [Row(number, where, RelationshipRow(entity.id, kind, other.id)) for kind, other in others]


def _table_of(file: SourceFile, options: ReadOptions) -> Table:
    delimiter = delimiter_of(file, options.delimiter)
    header = header_of(file, delimiter)
    check_names(file, header)
    entity_type = options.entity_type or type_by_name(file)
    kinds = dict(options.columns)
    id_at = _id_at(file, header, options.id_column)
    places = {name: at for at, name in enumerate(header)}
    links = [
        _link(places[relate.column], relate, kinds, options) for relate in options.relate if relate.column in places
    ]
    taken = {link.at for link in links} | ({id_at} if header[id_at] == ID else set())
    properties = tuple((at, name) for at, name in enumerate(header) if at not in taken)
    parsed = [
        (name, PARSERS[kind], kind in TEXTUAL)
        for _, name in properties
        if (kind := kinds.get(name, "string")) in PARSERS
    ]
    return Table(
        file=file,
        delimiter=delimiter,
        header=header,
        entity_type=entity_type,
        id_at=id_at,
        id_prefix=_prefix(options, entity_type),
        properties=properties,
        parsed=tuple(parsed),
        links=tuple(links),
    )


def _prefix(options: ReadOptions, entity_type: str) -> str:
    return (options.id_prefix or "").replace(_TYPE_PLACE, entity_type)


def _link(at: int, relate: Relate, kinds: Mapping[str, str], options: ReadOptions) -> Link:
    kind = kinds.get(relate.column, "string")
    if kind not in TEXTUAL:
        raise InvalidInputError(
            f"{relate.column!r} holds ids of others: one text, or with list several, with {LIST_SEPARATOR} between",
            field="column",
        )
    return Link(at, relate, kind == "list", _prefix(options, relate.other_type))


def _id_at(file: SourceFile, header: Sequence[str], given: str | None) -> int:
    wanted = ID if given is None else given
    if wanted in header:
        if wanted != ID and ID in header:
            raise ConfigError(
                f"{file.name} has a column {ID!r} beside {wanted!r}, and no property can be called so: rename that "
                "column, or let it hold the ids"
            )
        return header.index(wanted)
    if given is None:
        alike = next((name for name in header if name.casefold() == ID), None)
        column = "COLUMN" if alike is None else alike
        raise ConfigError(
            f"{file.name} has no column {ID!r}: say which one holds the ids, with --id {column}; its columns are "
            f"{', '.join(header)}"
        )
    if all(part in header for part in given.split(",")):
        raise InvalidInputError(
            f"{given!r} are several columns, and an id is one text: join them in a column of their own", field="id"
        )
    raise InvalidInputError(f"{file.name} has no column {given!r}{near_miss(given, header)}", field="id")


def _check_columns(tables: Sequence[Table], options: ReadOptions) -> None:
    """Raise `InvalidInputError` for what is said of a column that no file has, or that can not be so."""
    known = [name for table in tables for name in table.header]
    for name in [*(name for name, _ in options.columns), *(relate.column for relate in options.relate)]:
        if name not in known:
            raise InvalidInputError(f"no file has a column {name!r}{near_miss(name, known)}", field="column")
    ids = {table.header[table.id_at] for table in tables}
    for name, kind in options.columns:
        if kind not in KINDS:
            raise InvalidInputError(f"{kind!r} is no kind{near_miss(kind, KINDS)}", field="column")
        if name in ids and kind != "string":
            raise InvalidInputError(f"{name!r} holds the ids, which are texts", field="column")
