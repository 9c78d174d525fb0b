"""What a foreign feed says: changes of rows and nodes, under names and in an order of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent

NODES = "neo4j:"
"""What the spaces of nodes begin with."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lay: a log (a topic's partition, a stream) and its number in there."""

    log: str
    offset: int
    timestamp_ms: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a column or a space whose values could not be told for certain; shown once for each."""

    column: str
    """With its space (`shop.public.invoice.total`), or the space alone."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of an entity or a relationship, as an event and what an event can not say."""

    event: PKGEvent
    space: str = ""
    """Where names are unique: source, schema and table, or a database of Neo4j. Empty: ids are the graph's own."""
    name: str = ""
    """What the space calls the row: its key columns, or an element id."""
    order: str | None = None
    """Sorts the changes of one name, compared as text; None: they are in order of arrival."""
    has_ties: bool = False
    """Whether different changes may have an equal `order`, as with times; those are in order of arrival."""
    place: Place | None = None
    is_whole: bool = True
    """Whether `new_data` is the whole row; else it is what differs from the row as the graph has it."""
    unsent: frozenset[str] = frozenset()
    """Properties that the row has, but whose values were not sent: they stay as the graph has them."""
    old_name: str | None = None
    """Of a creation: what the space called the same row before its key was changed."""
    new_name: str | None = None
    """Of a deletion: what the space calls the row from now on."""
    end_names: tuple[str | None, str | None] = (None, None)
    """Of a relationship: what the space calls its ends, where their ids were not said (the event has stand-ins)."""
    fallback_discriminator: str | None = None
    """Of a relationship without a key: its discriminator where the same ends have another one of its type."""
    id_by_name: bool = False
    """Whether the event's entity id is a stand-in, as the message lacks it: the row is found by `name`."""
    notes: Sequence[Note] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncation:
    """All rows of a table are gone."""

    space: str
    event_id: str
    order: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """A message that is no change of a row: a heartbeat, a transaction marker, a signal, …; counted by its kind."""

    kind: str


Said = Change | Truncation | Passed


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """What a feed does not say of itself."""

    id_prefix: str | None = None
    """Put before names to make ids: `{space}`, `{source}`, `{schema}` and `{type}`; None is `{space}:` for tables."""
    key_columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By table (or `*`): the columns that tell its rows apart, for messages that come without a key."""
    unsent_nulls: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By table (or `*`): columns whose null in an update is a value that was not sent, as in a vector."""
    tables: Mapping[str, str] = field(default_factory=dict)
    """By table: the table that its rows belong to (a partition's parent)."""

    def __post_init__(self) -> None:
        if "*" in self.tables:
            raise InvalidInputError("must name partitions: not all tables can be parts of one", field="tables")
