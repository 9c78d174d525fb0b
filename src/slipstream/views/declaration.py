"""Declarations of views, and what rendering and analysis give back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from slipstream.domain.entities import Direction, Hop
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.hints import near_miss
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import NO_METADATA, MetadataValue
from slipstream.domain.temporal import TemporalEmbeddingContext
from slipstream.domain.words import STEMMERS


def direction_of(given: object) -> Direction:
    """Return a direction by its name (out, in, both); raises `InvalidInputError` for any other."""
    names = [each.value for each in Direction]
    if given not in names:
        raise InvalidInputError(f"is {given!r}{near_miss(given, names)}", field="direction")
    return Direction(str(given))


def _take_direction(step: Via | Chain) -> None:
    object.__setattr__(step, "direction", direction_of(step.direction))


def _take_names(declared: Via | Chain | View | Words, field: str) -> None:
    """Make a tuple of a list of property names; refuse a single text, which would count as a list of letters."""
    names: object = getattr(declared, field)
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise InvalidInputError(f"is {names!r}, not a list of property names", field=field)
    object.__setattr__(declared, field, tuple(names))


@dataclass(frozen=True, slots=True)
class Via:
    """
    Neighbours that a view's template may use under a name of their own.

    Each is given to the template as a mapping with `id`, `type`, the named `properties` of the neighbour, and
    the relationship's properties under `via`. At most `limit` of them, ordered by (neighbour id, relationship id).

    `direction` may also be given by name: "out", "in" or "both"; any other raises `InvalidInputError`.
    """

    relationship_type: str
    direction: Direction = Direction.OUT
    properties: tuple[str, ...] = ("name",)
    limit: int = 10

    def __post_init__(self) -> None:
        _take_direction(self)
        _take_names(self, "properties")

    @property
    def hop(self) -> Hop:
        """The step in the graph that this stands for."""
        return Hop(self.relationship_type, self.direction, self.limit)


@dataclass(frozen=True, slots=True)
class Chain:
    """
    Events that one event follows from, over several relationships: its causes, or what came before it.

    Nearest first, those of one distance by id, each once, at most `limit` of them, within `depth` steps. Each is
    shown by its named `properties`, or by its id where it has none of them.
    """

    relationship_type: str
    direction: Direction = Direction.OUT
    depth: int = 3
    properties: tuple[str, ...] = ("name",)
    limit: int = 10

    def __post_init__(self) -> None:
        _take_direction(self)
        _take_names(self, "properties")

    @property
    def hop(self) -> Hop:
        """The steps in the graph that this stands for."""
        return Hop(self.relationship_type, self.direction, self.limit, self.depth)


@dataclass(frozen=True, slots=True)
class Words:
    """
    Which properties of a type are searched by words, and as what.

    `name`: the first of these that is a text is the record's name. `aliases`: other names. `keys`: values by which
    people ask for just this record, like a code or an address. `body`: the properties whose texts, numbers and times
    are searched; None means all of them. `stemmer` is "english" or "none"; raises `InvalidInputError` for any other.
    """

    name: tuple[str, ...] = ("name", "title", "label")
    aliases: tuple[str, ...] = ("aliases", "alias", "synonyms", "synonym")
    keys: tuple[str, ...] = ()
    body: tuple[str, ...] | None = None
    stemmer: str = "english"

    def __post_init__(self) -> None:
        for field_name in ("name", "aliases", "keys", *(("body",) if self.body is not None else ())):
            _take_names(self, field_name)
        if self.stemmer not in STEMMERS:
            raise InvalidInputError(f"is {self.stemmer!r}{near_miss(self.stemmer, STEMMERS)}", field="stemmer")


@dataclass(frozen=True, slots=True)
class View:
    """
    The declared rule for one entity type or relationship type: which text stands for it.

    `template` is a sandboxed Jinja template over the properties (`{{ name }}`), `id`, `type`, and the `via`
    names; None means the default text. Relationship views see `source`, `target` (mappings with `id`, `type` and
    properties), `type` and the relationship's properties. `model` overrides the router. `metadata` names
    properties to keep with the vector for filtering. `temporal` says whether time and causes are embedded with the
    text; None: for the type `Event` only, and where a chain is declared. `causes` and `sequence` read the causal
    chain and the event sequence out of the graph, instead of the properties of those names. `words` says what is
    searched by words (None: by the defaults of `Words`); it is no part of the recipe of the vectors.
    """

    type: str
    template: str | None = None
    via: Mapping[str, Via] = field(default_factory=dict)
    model: str | None = None
    metadata: tuple[str, ...] = ()
    temporal: bool | None = None
    is_relationship: bool = False
    causes: Chain | None = None
    sequence: Chain | None = None
    words: Words | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        _take_names(self, "metadata")

    @property
    def chains(self) -> tuple[Chain, ...]:
        """The chains that are declared."""
        return tuple(chain for chain in (self.causes, self.sequence) if chain is not None)

    @property
    def steps(self) -> tuple[Via | Chain, ...]:
        """Everything that leads from its entities to others."""
        return (*self.via.values(), *self.chains)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a record's text, vector and stamp depend on, as its view says."""

    properties: tuple[str, ...]
    """The record's own properties that it depends on, in alphabetical order."""
    all_text: bool
    """Whether every property that is text shows too (the default text)."""
    all_properties: bool
    """Whether every property shows."""
    template_version: str
    is_temporal: bool


class Rendering(NamedTuple):
    """The text that stands for a record now, and everything else that decides its vector or stamp."""

    text: str
    template_version: str
    """Digest of the template and of the rendering rules."""
    model: str | None = None
    """Model id that the view asks for; None leaves it to the router."""
    temporal_context: TemporalEmbeddingContext | None = None
    metadata: Mapping[str, MetadataValue] = NO_METADATA
    source_document_id: str | None = None
    extraction_confidence: float | None = None


class Fanout(NamedTuple):
    """
    Neighbours of one entity whose text may hold something of it; the planner looks them up in the graph.

    `direction` is seen from `entity_id`: OUT reaches the targets of its relationships. `types` are the entity
    types to mark dirty (None: any). With `relationships` the relationship records themselves are marked instead. With
    a `depth` above 1 everything within that many steps counts, over entities of any type.
    """

    entity_id: str
    relationship_type: str
    direction: Direction
    types: frozenset[str] | None = None
    relationships: bool = False
    depth: int = 1


class Affected(NamedTuple):
    """What one event dirties: keys that are known at once, and neighbours to look up."""

    keys: frozenset[RecordKey] = frozenset()
    fanouts: tuple[Fanout, ...] = ()
