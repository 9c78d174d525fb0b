"""What a foreign feed says: changes of rows and nodes, under names and in an order of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
    """What could not be told of a column; said once a column."""

    column: str
    """With its space: `shop.public.invoice.total`."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of an entity or a relationship, as an event and what an event can not say."""

    event: PKGEvent
    space: str = ""
    """In which names count: source, schema and table; a database of Neo4j. Empty: ids are the graph's own."""
    name: str = ""
    """What the space calls it: the key's columns, an element id."""
    order: str | None = None
    """Where it stands among the changes of that name, compared as text; None: they come in order of arrival."""
    has_ties: bool = False
    """Whether different changes may have an equal order (a time is one): equal ones come in order of arrival."""
    place: Place | None = None
    is_whole: bool = True
    """Whether `new_data` is all that there is; else it is what differs, and a base is needed."""
    unsent: frozenset[str] = frozenset()
    """Properties that there are, but whose values were not sent: they stay as the graph has them."""
    old_name: str | None = None
    """Of a creation: what the space called the same row before its key was changed."""
    new_name: str | None = None
    """Of a deletion: what the space calls the row from now on."""
    end_names: tuple[str | None, str | None] = (None, None)
    """Of a relationship: what the space calls its ends, where their ids were not said (the event has stand-ins)."""
    fallback_discriminator: str | None = None
    """Of a relationship without a key: what tells it from another one of its type between the same ends."""
    id_by_name: bool = False
    """Whether the event's id is a stand-in, because the message did not say it: it is known by the name."""
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
    """By table: as which one its rows count (a partition as its parent)."""
