"""A map of the vectors: the live records of one space in two dimensions, each where its vector lies."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from slipstream.app.projection import Matrix, projected
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import KeyedType
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space, SpaceScope
from slipstream.search.hits import record_name

POINTS_MAX = 20_000
_KEYS_PAGE, _VECTORS_PAGE, _NAMES_PAGE = 10_000, 2_000, 1_000


class MapPoint(NamedTuple):
    """One record; coordinates are within -1..1."""

    x: float
    y: float
    key: RecordKey
    type: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorMap:
    """The records of one space that were drawn; `total` is how many there are, `explained` what the axes show."""

    points: tuple[MapPoint, ...]
    total: int
    space: Space
    spaces: tuple[Space, ...]
    """All that hold live records, the biggest first."""
    explained: tuple[float, float]
    """Share of all variance along each axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapChoice:
    """What to draw: one type or all, of one model or of the one with most records, and how many at most."""

    entity_type: str | None = None
    model_id: str | None = None
    limit: int = POINTS_MAX
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= POINTS_MAX:
            raise InvalidInputError(f"must be 1 to {POINTS_MAX:,}, not {self.limit}", field="limit")


def vector_map(slipstream: Slipstream, choice: MapChoice) -> VectorMap:
    """
    Return a map; the same seed and the same vectors give the same one.

    Beyond `limit` records are drawn evenly from all. Vectors of several spaces are never drawn together. Raises
    `NotFoundError` for a type or a model without live records.
    """
    scopes = _scopes(slipstream, choice.entity_type)
    spaces = tuple(scope.space for scope in scopes)
    scope = _chosen(scopes, choice)
    rows, total = _sampled(slipstream, frozenset(scope.homed), choice)
    kept, vectors = _vectors(slipstream, rows, scope.space)
    places, explained = projected(vectors, choice.seed)
    names = _names(slipstream, [row.key for row in kept])
    points = tuple(
        MapPoint(x, y, row.key, row.type, names.get(row.key, row.key.id))
        for row, (x, y) in zip(kept, places.tolist(), strict=True)
    )
    return VectorMap(points=points, total=total, space=scope.space, spaces=spaces, explained=explained)


# ---------------------------------------------------------------------- what is drawn


def _scopes(slipstream: Slipstream, entity_type: str | None) -> list[SpaceScope]:
    """Return the spaces with live records (of a type), the one with most records first."""
    pair, counts, schema = slipstream.recipes.pair, slipstream.pkg.counts(), slipstream.pkg.schema()
    covered = [name for name in counts if name in schema.entity_types or pair.live.covers_relationships(name)]
    types = covered if entity_type is None else [name for name in covered if name == entity_type]
    if entity_type is not None and not types:
        raise NotFoundError(f"no records are of the type {entity_type!r}: the status lists those that there are")

    def order(scope: SpaceScope) -> tuple[int, str]:
        return -sum(counts[name] for name in scope.homed), scope.space.model_id

    return sorted(pair.scopes(types), key=order)


def _chosen(scopes: Sequence[SpaceScope], choice: MapChoice) -> SpaceScope:
    fit = [scope for scope in scopes if choice.model_id in (None, scope.space.model_id)]
    if not fit:
        there = ", ".join(dict.fromkeys(scope.space.model_id for scope in scopes)) or "none"
        raise NotFoundError(f"no live records are of the model {choice.model_id!r}: there are {there}")
    return fit[0]


def _sampled(slipstream: Slipstream, types: frozenset[str], choice: MapChoice) -> tuple[list[KeyedType], int]:
    """Return at most `limit` keys of some types, each as likely as any other, and how many there are."""
    chosen, total = random.Random(choice.seed), 0  # noqa: S311  (a sample, no secret)
    rows: list[KeyedType] = []
    for row in _keys(slipstream, types):
        total += 1
        if len(rows) < choice.limit:
            rows.append(row)
        elif (place := chosen.randrange(total)) < choice.limit:
            rows[place] = row
    rows.sort(key=lambda row: row.key.encode())
    return rows, total


def _keys(slipstream: Slipstream, types: frozenset[str]) -> Iterator[KeyedType]:
    schema = slipstream.pkg.schema()
    relationship_types = types & schema.relationship_types.keys()
    after: RecordKey | None = None
    while page := slipstream.pkg.scan(after, _KEYS_PAGE, relationship_types):
        yield from (row for row in page if row.type in types)
        after = page[-1].key


def _vectors(slipstream: Slipstream, rows: Sequence[KeyedType], space: Space) -> tuple[list[KeyedType], Matrix]:
    """Return the rows that have a vector in the space, and the vectors."""
    kept: list[KeyedType] = []
    found = np.empty((len(rows), space.dimension), dtype=np.float32)
    for start in range(0, len(rows), _VECTORS_PAGE):
        page = rows[start : start + _VECTORS_PAGE]
        held = slipstream.store.index.vectors([row.key for row in page], space)
        for row in page:
            vector = held.get(row.key)
            if vector is not None:
                found[len(kept)] = vector
                kept.append(row)
    return kept, found[: len(kept)]


def _names(slipstream: Slipstream, keys: Sequence[RecordKey]) -> Mapping[RecordKey, str]:
    names: dict[RecordKey, str] = {}
    for start in range(0, len(keys), _NAMES_PAGE):
        states = slipstream.pkg.read(keys[start : start + _NAMES_PAGE], {}).states
        names.update({key: record_name(state) for key, state in states.items()})
    return names
