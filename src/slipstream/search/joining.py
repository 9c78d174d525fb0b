"""Candidates of all arms, joined with the graph as it is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from slipstream.domain.entities import RecordState
from slipstream.domain.errors import IncidentError, PoisonEventError
from slipstream.domain.incidents import Incident
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.requests import Shown
from slipstream.domain.stamps import MetadataValue, SearchFilter
from slipstream.ports.graph import GraphReader
from slipstream.ports.recipe import ShowingRecipe
from slipstream.search.hits import SearchHit, live_hit, stamped_hit, type_of
from slipstream.search.narrowing import Narrowing
from slipstream.search.ranking import Candidate

_PAGE = 200
"""How many candidates are looked up in the graph at a time behind the first ones: many of them may be gone."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A candidate that may be returned, with its state in the graph; None in an incident."""

    candidate: Candidate
    state: RecordState | None
    position: Position


class Joining:
    """
    Joins the candidates of one search with the graph; in an incident those stay that the graph does not have.

    The filter holds for what the graph says now: a record whose type or values have changed since it was indexed, so
    that it no longer fits, is no hit.
    """

    def __init__(
        self,
        graph: GraphReader,
        where: SearchFilter,
        narrowing: Narrowing,
        recipe: ShowingRecipe,
        incident: Incident | None,
        now: Callable[[], datetime],
    ) -> None:
        self._graph, self._where, self._narrowing, self._recipe, self._now = graph, where, narrowing, recipe, now
        self.incident = incident
        self._known: dict[RecordKey, tuple[RecordState | None, Position] | None] = {}
        """What was looked up already: the state, or None for what is no hit."""
        self.can_ask = True
        """Whether the graph answers at all."""

    def first(self, k: int, candidates: Sequence[Candidate]) -> list[Joined]:
        """
        Return the `k` best candidates that are alive (in an incident: the `k` best); fewer where there are no more.

        Where age counts, all are looked up, for the last one may be the newest.
        """
        if self._narrowing.half_life_days is not None:
            return self._aged(self._joined(candidates))[:k]
        found: list[Joined] = []
        start, size = 0, k
        while start < len(candidates) and len(found) < k:
            found.extend(self._joined(candidates[start : start + size]))
            start, size = start + size, max(k, _PAGE)
        return found[:k]

    def hit(self, joined: Joined) -> SearchHit:
        """Return what is shown of a record."""
        candidate, state = joined.candidate, joined.state
        if state is None:
            return stamped_hit(candidate)
        return live_hit(candidate, state, self._shown(state), joined.position)

    def refusal(self, state: RecordState) -> str | None:
        """Return which filter a live record does not pass, for people; None when it passes all."""
        types = self._where.entity_types
        if types is not None and type_of(state) not in types:
            return f"it is of type {type_of(state)}, not {' or '.join(sorted(types))}"
        if (told := self._narrowing.refusal(state)) is not None:
            return told
        shown = self._shown(state)
        held = {} if shown is None else shown.metadata
        for name, value in self._where.metadata.items():
            if not _is_same(held.get(name), value):
                return f"its {name} is {held.get(name)!r}, not {value!r}"
        return None

    def _joined(self, candidates: Sequence[Candidate]) -> list[Joined]:
        self._look_up([candidate for candidate in candidates if candidate.key not in self._known])
        return [
            Joined(candidate, *known)
            for candidate in candidates
            if (known := self._known.get(candidate.key)) is not None
        ]

    def _look_up(self, candidates: Sequence[Candidate]) -> None:
        states, position = self._states([candidate.key for candidate in candidates])
        for candidate in candidates:
            state = states.get(candidate.key)
            is_hit = self._fits(candidate, state) if state is not None else self._is_shown_without(candidate)
            self._known[candidate.key] = (state, position) if is_hit else None

    def _states(self, keys: Sequence[RecordKey]) -> tuple[Mapping[RecordKey, RecordState], Position]:
        if not keys or not self.can_ask:
            return {}, Position(0)
        try:
            snapshot = self._graph.read(keys, self._recipe.hops())
        except IncidentError as error:  # also of a file that was removed or replaced while it was open
            self.can_ask, self.incident = False, error.incident
            return {}, Position(0)
        return snapshot.states, snapshot.position

    def _fits(self, candidate: Candidate, state: RecordState) -> bool:
        types, wanted = self._where.entity_types, self._where.metadata
        if types is not None and type_of(state) not in types:
            return False
        if self._narrowing.narrows and not self._narrowing.admits(state):
            return False
        if not wanted:
            return True
        shown = self._shown(state)
        stamped = {} if candidate.stamp is None else candidate.stamp.metadata
        held = stamped if shown is None else shown.metadata
        return all(_is_same(held.get(name), value) for name, value in wanted.items())

    def _is_shown_without(self, candidate: Candidate) -> bool:
        """Whether a candidate is a hit although the graph does not have it, or can not tell."""
        if self.incident is None:
            return False
        if candidate.stamp is None:
            return not (self._narrowing.narrows or self._where.metadata)
        return self._narrowing.admits_stamp(candidate.stamp)

    def _shown(self, state: RecordState) -> Shown | None:
        try:
            return self._recipe.shown(state)
        except PoisonEventError:  # its present state can not be rendered, and is or becomes a dead letter
            return None

    def _aged(self, found: list[Joined]) -> list[Joined]:
        now = self._now()
        for joined in found:
            if joined.state is not None:
                joined.candidate.score = self._narrowing.decayed(joined.candidate.score, joined.state, now)
        return sorted(found, key=lambda each: (-each.candidate.total, each.candidate.key.encode()))


def _is_same(held: MetadataValue | None, wanted: MetadataValue) -> bool:
    """Compare as an index does: a boolean is no number."""
    return held == wanted and isinstance(held, bool) is isinstance(wanted, bool)
