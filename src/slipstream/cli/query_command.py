"""The command `query`: Cypher over the graph, and SQL over the tables of its file."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer

from slipstream.cli.asking import Owner, answered
from slipstream.cli.context import Context, drain
from slipstream.cli.csv_rows import csv_lines
from slipstream.cli.output import handled_errors, out, print_json, print_plain, print_table
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.texts import on_one_line
from slipstream.domain.values import decode_cell, encode_value

Rows = list[dict[str, Any]]
_FORMATS = ("table", "csv", "json")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("query")(query)


def query(
    context: typer.Context,
    cypher: Annotated[str | None, typer.Argument(help="Cypher; reads only, unless --write.")] = None,
    sql: Annotated[
        str | None, typer.Option("--sql", help="Instead of Cypher: one SELECT over the graph file (docs/graph.md).")
    ] = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="A parameter as name=JSON.")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Allow Cypher to write; the index follows before it returns.")
    ] = False,
    form: Annotated[
        str, typer.Option("--format", help="table, csv or json.", autocompletion=lambda: list(_FORMATS))
    ] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Ask the graph a question, in Cypher or SQL."""
    as_json = as_json or form == "json"
    with handled_errors(as_json=as_json):
        _check(cypher, sql, form, write=write)
        rows = _rows(
            context.obj, cypher, sql, _params(param or []), write=write, shown=form == "table" and not as_json
        )
        if as_json:
            print_json([{name: _jsonable(value) for name, value in row.items()} for row in rows])
        elif form == "csv":
            print_plain(csv_lines(list(rows[0]), rows) if rows else ())
        elif rows:
            columns = [on_one_line(name) for name in rows[0]]
            print_table("", columns, [[_cell(value) for value in row.values()] for row in rows])
        else:
            out.print("no rows")


def _check(cypher: str | None, sql: str | None, form: str, *, write: bool) -> None:
    if form not in _FORMATS:
        raise InvalidInputError(f"must be {', '.join(_FORMATS)}, not {form!r}", field="format")
    if (cypher is None) == (sql is None):
        raise InvalidInputError("give either Cypher or --sql", field="cypher")
    if sql is not None and write:
        raise InvalidInputError("only reads: --write is for Cypher", field="sql")


def _rows(
    settings: Context, cypher: str | None, sql: str | None, params: dict[str, Any], *, write: bool, shown: bool
) -> Rows:
    if not write:
        found = answered(settings.directory, lambda owner: _asked(owner, cypher, sql, params))
        if found is not None:
            return found
    with settings.opened(run=write) as slipstream:
        if sql is not None:
            return slipstream.pkg.query_sql(sql, **params)
        if not write:
            return slipstream.pkg.query(cypher or "", **params)
        position = slipstream.pkg.execute(cypher or "", **params)
        drain(slipstream, shown=shown)
        return [{"position": position}]


def _asked(owner: Owner, cypher: str | None, sql: str | None, params: dict[str, Any]) -> Rows:
    """Have the server ask the graph."""
    given = {name: encode_value(value) for name, value in params.items()}
    if sql is not None:
        rows = owner.call("pkg.query_sql", statement=sql, parameters=given)
    else:
        rows = owner.call("pkg.query", cypher=cypher, parameters=given)
    return [{name: decode_cell(value) for name, value in row.items()} for row in rows]


def _params(pairs: list[str]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name.isidentifier():
            raise InvalidInputError(f"{pair!r} is not name=JSON", field="param")
        if name in params:
            raise InvalidInputError(f"{name} is given twice", field="param")
        try:
            params[name] = json.loads(value)
        except json.JSONDecodeError:
            params[name] = value  # a bare word is a string
        except RecursionError:
            raise InvalidInputError(f"the value of {name} is nested too deeply", field="param") from None
    return params


def _jsonable(value: Any) -> Any:
    """Return a value that JSON can hold: None for infinite numbers and NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> str:
    """Return a value for a table: text as it is, lists and objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return on_one_line(json.dumps(value, default=str, ensure_ascii=False))
    return on_one_line(value.hex() if isinstance(value, bytes) else str(value))
