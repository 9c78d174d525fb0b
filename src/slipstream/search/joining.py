"""Hits of an index, joined with the graph as it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipstream.domain.entities import RecordState
from slipstream.domain.errors import IncidentError, PoisonEventError
from slipstream.domain.incidents import Incident
from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import Shown
from slipstream.domain.stamps import MetadataValue, SearchFilter, VectorHit
from slipstream.ports.graph import GraphReader
from slipstream.ports.recipe import ShowingRecipe
from slipstream.search.hits import SearchHit, live_hit, stamped_hit, type_of

_PAGE = 200
"""How many hits are looked up in the graph at a time, at least: many of them may be gone."""


class Joining:
    """
    Joins the hits of one search with the graph; in an incident hits stay that the graph does not have.

    The filter holds for what the graph says now: a record whose type or values have changed since its stamp was
    written, so that it no longer fits, is no hit.
    """

    def __init__(self, graph: GraphReader, where: SearchFilter, incident: Incident | None) -> None:
        self._graph, self._where, self.incident = graph, where, incident
        self._out: set[RecordKey] = set()
        """Keys that were looked up already, and are no hits."""
        self.can_ask = True
        """Whether the graph answers at all."""

    def first(self, k: int, ranked: Sequence[VectorHit], recipe: ShowingRecipe) -> list[SearchHit]:
        """Return the `k` best hits that are alive (in an incident: the `k` best); fewer where there are no more."""
        left = [hit for hit in ranked if hit.stamp.key not in self._out]
        found: list[SearchHit] = []
        for start in range(0, len(left), size := max(k, _PAGE)):
            found.extend(self._joined(left[start : start + size], recipe))
            if len(found) >= k:
                break
        return found[:k]

    def _joined(self, hits: Sequence[VectorHit], recipe: ShowingRecipe) -> list[SearchHit]:
        states = self._states([hit.stamp.key for hit in hits], recipe)
        found: list[SearchHit] = []
        for hit in hits:
            joined = self._hit(hit, states.get(hit.stamp.key), recipe)
            if joined is None:
                self._out.add(hit.stamp.key)
            else:
                found.append(joined)
        return found

    def _states(self, keys: Sequence[RecordKey], recipe: ShowingRecipe) -> Mapping[RecordKey, RecordState]:
        try:
            return self._graph.read(keys, recipe.hops()).states if self.can_ask else {}
        except IncidentError as error:  # also of a file that was removed or replaced while it was open
            self.can_ask, self.incident = False, error.incident
            return {}

    def _hit(self, hit: VectorHit, state: RecordState | None, recipe: ShowingRecipe) -> SearchHit | None:
        if state is None:
            return None if self.incident is None else stamped_hit(hit)
        try:
            shown = recipe.shown(state)
        except PoisonEventError:  # its present state can not be rendered, and is or becomes a dead letter
            shown = None
        return live_hit(hit, state, shown) if self._fits(hit, state, shown) else None

    def _fits(self, hit: VectorHit, state: RecordState, shown: Shown | None) -> bool:
        types, wanted = self._where.entity_types, self._where.metadata
        if types is not None and type_of(state) not in types:
            return False
        held = hit.stamp.metadata if shown is None else shown.metadata
        return all(_is_same(held.get(name), value) for name, value in wanted.items())


def _is_same(held: MetadataValue | None, wanted: MetadataValue) -> bool:
    """Compare as an index does: a boolean is no number."""
    return held == wanted and isinstance(held, bool) is isinstance(wanted, bool)
