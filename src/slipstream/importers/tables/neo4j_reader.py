"""CSV with the headers of `neo4j-admin database import`: nodes and relationships, types in the header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.events.formats.dump import DEFAULT_TYPE
from slipstream.importers.files_reader import FilesReader
from slipstream.importers.graph_names import EdgeKeys
from slipstream.importers.opening import SourceFile
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, RowReader, Stage, Tell
from slipstream.importers.tables.cells import LIST_SEPARATOR
from slipstream.importers.tables.dialect import (
    cells_of,
    delimiter_of,
    form_of,
    header_of,
    separator_notes,
    text_of,
    type_by_name,
)
from slipstream.importers.tables.neo4j_header import (
    END,
    ID,
    IGNORE,
    LABEL,
    ROLES,
    START,
    TYPE,
    Column,
    columns_of,
    looks_like_header,
)
from slipstream.importers.tables.neo4j_values import Parse, UnknownZoneError, is_empty_a_value, parser_of
from slipstream.importers.tables.records import BrokenRecord, Cells, Record, records

LABELS = "labels"
"""The property that holds all labels of a node that has several: the first one is its type."""
_HEADER_NAME = re.compile(r"[-_. ]?headers?$", re.IGNORECASE)


def reader(files: Sequence[SourceFile], options: ReadOptions) -> RowReader:
    """
    Return the reader of such files. One without a header has that of the file that its name, or its place, says.

    Raises `InvalidInputError` for an option that does not fit them, and `ConfigError` for a header that does not.
    """
    options.refuse_but("entity_type", "delimiter", "id_prefix")
    return Neo4jReader(_parts(files, options), options)


@dataclass(frozen=True, slots=True)
class Property:
    """A column that is a property."""

    at: int
    name: str
    parse: Parse | None
    is_empty_a_value: bool

    def value(self, cells: Cells) -> Any:
        """Return the value of a row, None when it has none; raises `InvalidInputError`."""
        text = cells[self.at]
        if text is None or (not text and not self.is_empty_a_value):
            return None
        if self.parse is None:
            return text
        try:
            return self.parse(text)
        except ValueError as error:
            raise InvalidInputError(f"{text[:80]!r} {error}", field=self.name) from error


@dataclass(frozen=True, slots=True)
class Header:
    """What the columns of some files are."""

    file: SourceFile
    width: int
    delimiter: str
    stem: str
    """The file's name, without `header`."""
    roles: Mapping[str, tuple[Column, ...]]
    """The columns that are no properties, by their role."""
    properties: tuple[Property, ...]
    default_type: str
    """Of rows of a file that has no column for it."""

    @property
    def is_of_relationships(self) -> bool:
        """Whether its rows are relationships."""
        return bool(self.roles[START])

    def values(self, cells: Cells) -> dict[str, Any]:
        """Return the properties of a row; raises `InvalidInputError`."""
        pairs = ((each.name, each.value(cells)) for each in self.properties)
        return {name: value for name, value in pairs if value is not None}


@dataclass(frozen=True, slots=True)
class Part:
    """One file, with its header, which may be in another one."""

    file: SourceFile
    header: Header
    has_header: bool


class Neo4jReader(FilesReader):
    """Reads files of nodes, then files of relationships; some 100 bytes are held for each relationship."""

    def __init__(self, parts: Sequence[Part], options: ReadOptions) -> None:
        super().__init__([part.file for part in parts], options)
        self._parts = parts
        self._prefix = options.id_prefix or ""

    @property
    def form(self) -> str:
        """What is read, and what separates its cells."""
        return form_of("CSV of neo4j-admin", {part.header.delimiter for part in self._parts})

    @property
    def has_relationships(self) -> bool:
        """Whether there is a file of relationships."""
        return any(part.header.is_of_relationships for part in self._parts)

    @property
    def notes(self) -> Sequence[str]:
        """What was found to separate the cells, and which header was taken for a file without one."""
        headers = {part.header.file: part.header.delimiter for part in self._parts}
        without = [part for part in self._parts if not part.has_header]
        return [
            *separator_notes(headers, self._options.delimiter),
            *(f"{part.file.name} was read with the header of {part.header.file.name}" for part in without),
        ]

    def rows(self, stage: Stage, tell: Tell) -> Iterator[Row]:
        """Yield nodes, or relationships; raises `ConfigError` as `records` does."""
        edge_keys = EdgeKeys()
        number = before = 0
        for part in self._parts:
            header = part.header
            if header.is_of_relationships == (stage is Stage.RELATIONSHIPS):
                found = records(part.file, header.delimiter, tell, before)
                with closing(found):
                    if part.has_header:
                        next(found)
                    for at, record in enumerate(found, 1):
                        number += 1
                        where = f"{part.file.name}, row {at}, {record.lines}"
                        yield Row(number, where, self._content(header, record, at, edge_keys))
            before += part.file.size_bytes

    def _content(
        self, header: Header, record: Record | BrokenRecord, at: int, edge_keys: EdgeKeys
    ) -> EntityRow | RelationshipRow | RefusedRow:
        try:
            cells = cells_of(record, header.width)
            if header.is_of_relationships:
                return self._relationship(header, cells, edge_keys)
            return self._node(header, cells, at)
        except InvalidInputError as error:
            return RefusedRow(error, text_of(record, header.delimiter))

    def _node(self, header: Header, cells: Cells, at: int) -> EntityRow:
        properties = header.values(cells)
        entity_id = self._id(header.roles[ID], cells) or f"{self._prefix}{header.stem}#{at}"
        columns = header.roles[LABEL]
        texts = (cells[column.at] or "" for column in columns)
        labels = list(dict.fromkeys(label for text in texts for label in text.split(LIST_SEPARATOR) if label))
        if len(labels) > 1:
            if LABELS in properties:
                raise InvalidInputError(
                    f"is a property, and this node has several labels, which would be kept under that name: {labels}",
                    field=LABELS,
                )
            properties[LABELS] = labels
        without = self._options.entity_type or DEFAULT_TYPE
        return EntityRow(entity_id, (labels or [without if columns else header.default_type])[0], properties)

    def _relationship(self, header: Header, cells: Cells, edge_keys: EdgeKeys) -> RelationshipRow:
        source, target = (self._end(header.roles[kind], cells) for kind in (START, END))
        relationship_type = header.default_type
        for column in header.roles[TYPE]:
            relationship_type = cells[column.at] or ""
        if not relationship_type:
            raise InvalidInputError("is empty: each relationship needs a type", field=f":{TYPE}")
        key = edge_keys.key(source, relationship_type, target)
        return RelationshipRow(source, relationship_type, target, header.values(cells), key)

    def _end(self, columns: Sequence[Column], cells: Cells) -> str:
        found = self._id(columns, cells)
        if found is None:
            raise InvalidInputError("is empty: each relationship needs both ends", field=f":{columns[0].kind}")
        return found

    def _id(self, columns: Sequence[Column], cells: Cells) -> str | None:
        """Return the id that columns hold together, told apart by its space; None when they are empty."""
        text = "".join(cells[column.at] or "" for column in columns)
        if not text:
            return None
        space = columns[0].space
        return f"{self._prefix}{text}" if space is None else f"{self._prefix}{_escaped(space)}:{text}"


def _escaped(space: str) -> str:
    """Return a space's name without what ends it before an id."""
    return space.replace("%", "%25").replace(":", "%3A")


def _parts(files: Sequence[SourceFile], options: ReadOptions) -> list[Part]:
    headers = {at: _header(file, options) for at, file in enumerate(files) if looks_like_header(_first_line(file))}
    found: list[Part] = []
    for at, file in enumerate(files):
        own = headers.get(at)
        found.append(Part(file, own or _header_for(file, at, headers), own is not None))
    return found


def _first_line(file: SourceFile) -> str:
    with closing(file.lines(lambda _: None)) as lines:
        return next(lines, "")


def _stem(file: SourceFile) -> str:
    return _HEADER_NAME.sub("", PurePosixPath(file.inner_name).stem)


def _header_for(file: SourceFile, at: int, headers: dict[int, Header]) -> Header:
    """Return the header with whose name a file's name begins, the longest one; else the last one before it."""
    stem = _stem(file)
    named = [header for header in headers.values() if header.stem and stem.startswith(header.stem)]
    if named:
        return max(named, key=lambda header: len(header.stem))
    before = [header for place, header in headers.items() if place < at]
    if not before:
        raise ConfigError(
            f"{file.name} has no header of neo4j-admin, and none stands before it: name the file with its header "
            f"(:ID, or :START_ID and :END_ID) before it, or call it {stem}_header.csv"
        )
    return before[-1]


def _header(file: SourceFile, options: ReadOptions) -> Header:
    delimiter = delimiter_of(file, options.delimiter)
    names = header_of(file, delimiter)
    try:
        columns = tuple(columns_of(names))
        properties = tuple(_properties(columns))
    except InvalidInputError as error:
        raise ConfigError(f"{file.name}: {error}") from error
    found = Header(
        file=file,
        width=len(names),
        delimiter=delimiter,
        stem=_stem(file),
        roles={role: tuple(column for column in columns if column.kind == role) for role in ROLES},
        properties=properties,
        default_type=_default_type(file, columns, options),
    )
    _check(file, found)
    return found


def _properties(columns: Sequence[Column]) -> Iterator[Property]:
    for column in columns:
        is_named_id = column.kind == ID and column.name not in ("", "id")
        if is_named_id or column.kind not in ROLES:
            try:
                parse = parser_of(column)
            except UnknownZoneError as error:
                raise InvalidInputError(str(error), field=column.name) from error
            yield Property(column.at, column.name, parse, is_empty_a_value(column))


def _default_type(file: SourceFile, columns: Sequence[Column], options: ReadOptions) -> str:
    """Return what `--nodes=TYPE=file` would say."""
    kinds = {column.kind for column in columns}
    if START in kinds:
        return "" if TYPE in kinds else type_by_name(file, _stem(file))
    if LABEL in kinds:
        return DEFAULT_TYPE
    label = next((column.options["label"] for column in columns if "label" in column.options), None)
    return options.entity_type or label or type_by_name(file, _stem(file))


def _check(file: SourceFile, header: Header) -> None:
    """Raise `ConfigError` for columns that do not fit each other."""

    def fault(text: str) -> ConfigError:
        return ConfigError(f"{file.name}: {text}")

    names = [each.name for each in header.properties]
    if again := next((name for name in names if names.count(name) > 1), None):
        raise fault(f"several columns are called {again!r}: give each its own name, or :{IGNORE}")
    if bool(header.roles[START]) != bool(header.roles[END]):
        raise fault(f"relationships need both :{START} and :{END}")
    if header.roles[START] and header.roles[ID]:
        raise fault(f"has both :{ID} and :{START}: nodes and relationships are files of their own")
    for kind in (ID, START, END):
        if len({column.space for column in header.roles[kind]}) > 1:
            raise fault(f"the columns :{kind} name several spaces, and an id is in one")
    if len(header.roles[TYPE]) > 1:
        raise fault(f"has several columns :{TYPE}, and a relationship has one type")
