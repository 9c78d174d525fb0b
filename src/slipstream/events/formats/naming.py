"""Names of rows: the space of their table, the name made of their key, the id of their entity."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import FeedOptions
from slipstream.events.formats.reader import shown, shown_name

_SAFE = " @/.,+-_#()'"
_SIGNALS = "debezium_signal"
TABLES_MAX = 10_000
"""How many tables are kept."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `space` is its full name, `prefix` stands before its rows' names in ids."""

    space: str
    name: str
    prefix: str
    key_columns: Sequence[str] | None = None
    """The columns of its key, as the options tell; None when they do not."""
    unsent_nulls: Collection[str] = ()
    """Columns where a null in an update means that the value was not sent."""
    is_documents: bool = False
    """Whether its rows are documents of MongoDB."""
    is_part: bool = False
    """Whether it is a partition of the table that `space` names, as the options tell."""

    @property
    def is_signals(self) -> bool:
        """Whether its rows are signals to the connector itself."""
        return self.name == _SIGNALS


class Tables:
    """The tables of a feed, by the parts of their full names."""

    def __init__(self, options: FeedOptions) -> None:
        self._options = options
        self._known: dict[tuple[str, ...], Table] = {}
        self._by_source: dict[tuple[Any, ...], Table] = {}

    def table(self, parts: tuple[str, ...]) -> Table:
        """Return the table with this full name: source, database or schema, own name."""
        table = self._known.get(parts)
        if table is None:
            if len(self._known) > TABLES_MAX:
                self._known.clear()
            table = self._known[parts] = self._make(parts)
        return table

    def of_source(self, named: tuple[Any, ...], parts: Callable[[], tuple[str, ...]], *, is_documents: bool) -> Table:
        """Return the table that a change's source names by these fields; `parts` gives the full name of a new one."""
        try:
            table = self._by_source.get(named)
        except TypeError:  # one of the fields is not a text: `parts` refuses it by name
            table = None
        if table is None:
            table = replace(self.table(parts()), is_documents=is_documents)
            if len(self._by_source) > TABLES_MAX:
                self._by_source.clear()
            self._by_source[named] = table
        return table

    def _make(self, parts: tuple[str, ...]) -> Table:
        own, parent = parts, _told(self._options.tables, parts)
        if parent is not None:
            named = tuple(parent.split("."))
            parts = (*parts[: -len(named)], *named) if len(named) < len(parts) else named
        space = ".".join(parts)
        prefix = id_prefix(
            self._options.id_prefix,
            "{space}:",
            space=space,
            source=parts[0] if len(parts) > 1 else "",
            schema=parts[-2] if len(parts) > 2 else "",
            type=parts[-1],
        )
        return Table(
            space,
            parts[-1],
            prefix,
            key_columns=_told(self._options.key_columns, parts),
            unsent_nulls=_told(self._options.unsent_nulls, parts) or (),
            is_part=own != parts,
        )


def _told(told: Mapping[str, Any], parts: tuple[str, ...]) -> Any:
    """Return what the options say of a table: under its full name, an ending of that, or `*`; None when nothing."""
    names = (*(".".join(parts[start:]) for start in range(len(parts))), "*") if told else ()
    return next((told[name] for name in names if name in told), None)


def id_prefix(given: str | None, default: str, **names: str) -> str:
    """Return the prefix of ids: `{space}` and the like are replaced by names, with colons percent-encoded."""
    prefix = default if given is None else given
    for name, value in names.items():
        prefix = prefix.replace(f"{{{name}}}", value.replace("%", "%25").replace(":", "%3A"))
    return prefix


def row_name(values: Sequence[Any], where: str) -> str:
    """Return the name made of a key's values: a single one as it is, several percent-encoded and joined by `:`."""
    if len(values) == 1:
        return key_text(values[0], where)
    return ":".join(quote(key_text(value, where), safe=_SAFE) for value in values)


def key_text(value: Any, where: str) -> str:
    """Return a value of a key as text; raises `InvalidInputError` for a null, an object or an array."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat().replace("+00:00", "Z"))
    raise InvalidInputError(f"an id must be a text, a number, a boolean or a time, got {shown(value)}", field=where)


def properties_of(values: Mapping[str, Any], key: Sequence[str]) -> Mapping[str, Any]:
    """Return a row's columns as properties; `id` names the identity: left out if it is the key, else renamed."""
    if "id" not in values:
        return values
    kept = dict(values)
    value = kept.pop("id")
    if "id" not in key:
        kept[free_name("id_", values)] = value
    return kept


def unsent_property(column: str, values: Mapping[str, Any]) -> str:
    """Return the property of a column that was not sent; `id`, never a key here, is renamed as in `properties_of`."""
    return free_name("id_", values) if column == "id" else column


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """Return the name, with underscores appended until it is not taken."""
    while name in taken:
        name += "_"
    return name


def column_missing(table: Table, column: str, where: str) -> InvalidInputError:
    """Return the error for a row that lacks a column of its key."""
    return InvalidInputError(
        f"is required: the key of {shown_name(table.space)} has a column {shown_name(column)}",
        field=f"{where}{shown_name(column)}",
    )
