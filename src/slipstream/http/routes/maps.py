"""A map of the vectors, to be looked at."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from slipstream.app.slipstream import Slipstream
from slipstream.app.vector_map import POINTS_MAX, MapChoice, VectorMap, vector_map
from slipstream.domain.keys import KeyKind
from slipstream.domain.positions import Position
from slipstream.http.models import TypeName
from slipstream.http.served import Pkg

KEPT_MAX = 4
FRESH_S = 5.0
"""While changes flow a map is kept for so long: it is a picture, and costs most of a second."""


class MapSpace(BaseModel):
    """The vectors of one model and generation."""

    model_config = ConfigDict(from_attributes=True)

    model_id: str
    model_version: str
    dimension: int
    generation: int


class Map(BaseModel):
    """Live records in two dimensions: points near each other have vectors near each other, mostly."""

    points: list[tuple[float, float, int, str, str]] = Field(
        description="x and y within -1..1, the index of its type in `types`, its id, its name"
    )
    types: list[str]
    relationship_types: list[str] = Field(description="Those of `types` that are of relationships")
    sampled: int = Field(description="Points: drawn evenly where there are more records")
    total: int = Field(description="Records of this space")
    space: MapSpace = Field(description="The one that is drawn: vectors of several are never comparable")
    spaces: list[MapSpace] = Field(description="All with live records, the biggest first")
    explained: tuple[float, float] = Field(description="Share of all variance along each axis")
    frontier: int = Field(description="What the index reflected when it was drawn")


@dataclass
class _Drawn:
    """The newest maps of one PKG; one is drawn at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: OrderedDict[MapChoice, tuple[Position, float, Map]] = field(default_factory=OrderedDict)

    def map_of(self, choice: MapChoice, frontier: Position, draw: Callable[[], Map]) -> Map:
        with self.lock:
            held = self.kept.get(choice)
            if held is not None and (held[0] == frontier or time.monotonic() - held[1] < FRESH_S):
                return held[2]
            made = draw()
            self.kept[choice] = (frontier, time.monotonic(), made)
            self.kept.move_to_end(choice)
            while len(self.kept) > KEPT_MAX:
                self.kept.popitem(last=False)
            return made


def router() -> APIRouter:
    """Return the routes."""
    routes, drawn = APIRouter(tags=["map"]), WeakKeyDictionary[Slipstream, _Drawn]()
    drawing = threading.Lock()

    @routes.get("/map")
    def read_map(
        slipstream: Pkg,
        entity_type: Annotated[TypeName | None, Query(alias="type", description="Only records of this type")] = None,
        model: Annotated[TypeName | None, Query(description="Default: the one with most records")] = None,
        limit: Annotated[int, Query(ge=1, le=POINTS_MAX)] = POINTS_MAX,
        seed: Annotated[int, Query(ge=0, le=2**32 - 1, description="The same seed draws the same map")] = 0,
    ) -> Map:
        """Draw the vectors in two dimensions, along the axes of most variance."""
        choice = MapChoice(entity_type=entity_type, model_id=model, limit=limit, seed=seed)
        with drawing:
            of_pkg = drawn.setdefault(slipstream, _Drawn())
        frontier = slipstream.status().frontier
        return of_pkg.map_of(choice, frontier, lambda: _told(vector_map(slipstream, choice), frontier))

    return routes


def _told(found: VectorMap, frontier: Position) -> Map:
    types = {name: number for number, name in enumerate(sorted({point.type for point in found.points}))}
    of_relationships = {point.type for point in found.points if point.key.kind is KeyKind.RELATIONSHIP}
    return Map(
        points=[(point.x, point.y, types[point.type], point.key.id, point.name) for point in found.points],
        types=list(types),
        relationship_types=sorted(of_relationships),
        sampled=len(found.points),
        total=found.total,
        space=MapSpace.model_validate(found.space),
        spaces=[MapSpace.model_validate(space) for space in found.spaces],
        explained=found.explained,
        frontier=frontier,
    )
