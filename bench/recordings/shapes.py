"""What a recording is made of: statements, settings of the connector, and what can not be as the statements say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until so many records have this in them."""

    text: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Restart:
    """Kill the connector, so that it sends again what it had not noted as sent; wait until this came so often."""

    text: str
    count: int


Step = str | Until | Restart


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One recorded shape: what is done in PostgreSQL, and what of it a graph has to hold in the end."""

    name: str
    what: str
    tables: Sequence[str]
    """Those whose rows, selected at the end, are the right entities; with their schema."""
    setup: str = ""
    """Done before the connector starts: its rows come by the snapshot."""
    changes: Sequence[Step] = ()
    """Done behind the snapshot, each text a transaction."""
    topics: Sequence[str] = ()
    """Topics beside those of the tables, without the prefix but for those that begin otherwise."""
    settings: Mapping[str, str] = field(default_factory=dict)
    converter: Mapping[str, str] = field(default_factory=dict)
    differs: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """By `table:key`: columns that the records do not tell as they are, and what they tell; None is nothing."""
    options: Mapping[str, object] = field(default_factory=dict)
    """What the feed's reader has to be told: `key_columns`, `tables`."""
    refused: int = 0
    key: Sequence[str] | None = None
    """The columns that tell rows apart, where it is not the primary key."""
    remains: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    """By table: rows that are gone, which the records do not tell."""
    is_nameless: bool = False
    """Nothing tells its rows apart: none becomes an entity."""
    passed: Mapping[str, int | str] = field(default_factory=dict)
    """By kind: how many messages are no rows; of a topic, all that lie in it."""
    with_schemas: bool = True
    """Not where many records would make a large file and the schemas say nothing new."""


def by_settings(shapes: Sequence[Shape]) -> Sequence[Sequence[Shape]]:
    """Return the shapes in groups that one connector can record together."""
    groups: dict[str, list[Shape]] = {}
    for shape in shapes:
        groups.setdefault(repr((sorted(shape.settings.items()), sorted(shape.converter.items()))), []).append(shape)
    return list(groups.values())
