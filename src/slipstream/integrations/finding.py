"""Searching with conditions on properties, for stores and retrievers of frameworks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy.typing as npt

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Properties
from slipstream.domain.errors import InvalidInputError, QueryLimitError, UnavailableError, UnsupportedError
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.stamps import MetadataValue
from slipstream.search.hits import SearchHit, entity_name
from slipstream.search.options import K_MAX, Mode, SearchArguments, SearchOptions

FACTS = "slipstream"
"""The key of its metadata under which what a retriever finds has what Slipstream says of it."""

OPTIONS = "search_options"
_GIVEN = frozenset(("mode", "entity_type", "after", "expand", "metadata", "timeout_s"))

Keep = Callable[[SearchHit], bool]
"""Whether a hit is wanted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    How a store or a retriever searches one PKG.

    A search reflects every commit that was made through this facade before it, or raises `UnavailableError` after
    `timeout_s` seconds. Conditions on properties that the view of the type keeps with its vectors (`metadata`) are
    answered by the index; others by looking at the best hits, up to 1,000 of them, and `QueryLimitError` is raised
    when these do not suffice.
    """

    slip: Slipstream
    entity_type: str | None = None
    timeout_s: float = 10.0
    mode: Mode = "vector"
    options: SearchArguments = field(default_factory=SearchArguments)
    """Further options of its searches; those that it gives itself can not be among them."""

    def __post_init__(self) -> None:
        if taken := sorted(_GIVEN & self.options.keys()):
            raise InvalidInputError(f"{taken[0]} is an argument of its own here, so give it as that", field=OPTIONS)
        SearchOptions.of({**self.options, "mode": self.mode})  # now, and not with the first search

    def by_text(
        self, text: str, k: int, wanted: Mapping[str, object] | None = None, keep: Keep | None = None, expand: int = 0
    ) -> list[SearchHit]:
        """Return the `k` best hits for a text that have the wanted properties and are to be kept."""
        indexed, looked_at = self._split(wanted or {})

        def ask(count: int) -> Sequence[SearchHit]:
            asked: SearchArguments = {
                **self.options,
                "mode": self.mode,
                "entity_type": self.entity_type,
                "after": self._own_writes(),
                "expand": expand,
                "metadata": indexed,
                "timeout_s": self.timeout_s,
            }
            return self.slip.search(text, count, **asked).hits

        return _first(k, ask, looked_at, keep)

    def by_vector(
        self, vector: npt.ArrayLike, k: int, entity_type: str, wanted: Mapping[str, object], keep: Keep | None = None
    ) -> list[SearchHit]:
        """
        Return the `k` best hits for a vector of the model that embeds a type.

        Their text is empty. Raises `UnsupportedError` over a connection, where vectors stay with the server.
        """
        model_id = self.model_of(entity_type)
        if (own := self._own_writes()) is not None and not self.slip.sync.wait(own, self.timeout_s):
            raise UnavailableError(
                f"the index did not reach position {own} within {self.timeout_s:g} s: raise timeout_s, or look at "
                "`slipstream status` for an outage"
            )
        indexed, _ = self._split(wanted)

        def ask(count: int) -> Sequence[SearchHit]:
            matches = self.slip.store.query_embeddings(
                vector, count, entity_type, model_id=model_id, metadata=indexed
            )
            live = {entity.id: entity for entity in self.slip.find([match.metadata.entity_id for match in matches])}
            scores = {match.metadata.entity_id: match.score for match in matches}
            return [
                SearchHit(name, entity.type, scores[name], entity_name(entity), "", model_id, entity.properties)
                if (entity := live.get(name)) is not None and entity.type == entity_type
                else _GONE
                for name in scores
            ]

        return _first(k, ask, wanted, keep)

    def model_of(self, entity_type: str) -> str:
        """Return the id of the model that embeds a type; raises `UnsupportedError` over a connection."""
        return self.slip.recipes.pair.live.space_of(entity_type).model_id

    def _own_writes(self) -> Position | None:
        """Return what a search must reflect; None before the first commit of this facade."""
        last = self.slip.pkg.last_commit
        return None if last == ORIGIN else last

    def _split(self, wanted: Mapping[str, object]) -> tuple[dict[str, MetadataValue], dict[str, object]]:
        """Return the conditions that the index answers, and those that hits are looked at for."""
        kept = self._kept_with_vectors() if wanted else frozenset()
        indexed = {
            name: value
            for name, value in wanted.items()
            if name in kept and isinstance(value, str | int | float | bool)
        }
        return indexed, {name: value for name, value in wanted.items() if name not in indexed}

    def _kept_with_vectors(self) -> frozenset[str]:
        if self.entity_type is None:
            return frozenset()
        try:
            view = self.slip.views.view_for(self.entity_type)
        except UnsupportedError:  # over a connection: the server's views are not known here
            return frozenset()
        return frozenset() if view is None else frozenset(view.metadata)


_GONE = SearchHit("", "", 0.0, "", "", "")
"""In place of a vector whose entity is gone from the graph, or has another type now."""


def facts_of(hit: SearchHit) -> dict[str, Any]:
    """Return what is known of a hit besides its text and properties, as plain values."""
    facts: dict[str, Any] = {
        "type": hit.entity_type,
        "name": hit.name,
        "score": hit.score,
        "model": hit.model_id,
        "position": hit.position,
    }
    if hit.neighbours:
        facts["neighbours"] = [
            {**asdict(neighbour), "direction": neighbour.direction.value} for neighbour in hit.neighbours
        ]
    if hit.explanation is not None:
        facts["explanation"] = asdict(hit.explanation)
    return facts


def has_all(properties: Properties, wanted: Mapping[str, object]) -> bool:
    """Whether properties have the wanted values, compared as an index does: a boolean is no number."""
    return all(
        name in properties
        and properties[name] == value
        and isinstance(properties[name], bool) is isinstance(value, bool)
        for name, value in wanted.items()
    )


def _first(
    k: int, ask: Callable[[int], Sequence[SearchHit]], wanted: Mapping[str, object], keep: Keep | None
) -> list[SearchHit]:
    """Ask for `k`, then for ever more, until `k` are wanted or there are no more."""
    count = k
    while True:
        hits = ask(count)
        found = [
            hit
            for hit in hits
            if hit is not _GONE and has_all(hit.properties, wanted) and (keep is None or keep(hit))
        ]
        if len(found) >= k or len(hits) < count:
            return found[:k]
        if count >= K_MAX:
            raise QueryLimitError(
                f"of the {K_MAX:,} nearest, {len(found)} fit the filter, and {k} were asked for: ask for fewer, or "
                f"keep {', '.join(wanted) or 'what you filter by'} with the vectors (`metadata` of the view)"
            )
        count = min(K_MAX, 4 * count)
