"""What `export` does when a type is named: a table instead of the whole graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slipstream.domain.errors import ConfigError, InvalidInputError

if TYPE_CHECKING:
    from slipstream.app.exporting import ExportReport
    from slipstream.app.table_export import TableSpec


def table_spec(
    file: str,
    *,
    entity_type: str | None,
    id_column: str | None,
    relate: Sequence[str],
    columns: Sequence[str],
    delimiter: str | None,
) -> TableSpec | None:
    """Return which table is asked for, None for the whole graph; raises `ConfigError` for options that do not fit."""
    from slipstream.app.table_export import TableSpec, is_table
    from slipstream.importers.options import Relate, parse_column

    if entity_type is None:
        if is_table(file):
            raise ConfigError(f"{file} is a table, which holds the entities of one type: say which, with --type")
        if id_column is not None or relate or columns or delimiter is not None:
            raise ConfigError("--id, --relate, --column and --delimiter are of a table: say which type, with --type")
        return None
    related = tuple(Relate.parse(text) for text in relate)
    kinds = dict(parse_column(text) for text in columns)
    for name, kind in kinds.items():
        if kind != "list" or name not in {each.column for each in related}:
            raise InvalidInputError("only a column of --relate may be said to be a list", field="column")
    return TableSpec(
        entity_type=entity_type,
        id_column="id" if id_column is None else id_column,
        relate=related,
        lists=frozenset(kinds),
        delimiter=delimiter,
    )


def export_table(directory: Path, file: str, table: TableSpec, on_row: Callable[[int, int], None]) -> ExportReport:
    """Write a table of the PKG in a directory, whoever has it open."""
    from slipstream.app.composition import exporter_of
    from slipstream.app.table_export import TableExporter

    return TableExporter(exporter_of(directory).pin).export(file, table, on_row)
