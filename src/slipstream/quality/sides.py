"""Generations as the quality checks ask them: which spaces, which types in them, and how."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slipstream.domain.keys import RecordKey
from slipstream.domain.models import SpaceScope
from slipstream.domain.stamps import SearchFilter, Stamp, Vector, VectorHit
from slipstream.ports.index import VectorIndex
from slipstream.quality.comparison import Side

_PAGE = 500

EmbedQuery = Callable[[str, str], Vector]
"""Embeds a text with a model, given by its id."""
Fuse = Callable[[Sequence[Sequence[VectorHit]]], Sequence[VectorHit]]
"""Joins the rankings of several spaces as a search does."""


@dataclass(frozen=True, slots=True)
class Scoped:
    """The records of one generation in an index."""

    index: VectorIndex
    scopes: tuple[SpaceScope, ...]

    def filter_of(self, stamp: Stamp) -> SearchFilter | None:
        """Return what narrows a search in the record's space to its generation; None for a record of another."""
        for scope in self.scopes:
            if scope.space == stamp.space and (scope.types is None or stamp.entity_type in scope.types):
                return SearchFilter(entity_types=scope.types)
        return None

    def pages(self) -> Iterator[list[Stamp]]:
        """Yield the stamps of the generation, a page at a time, in the order of their keys."""
        after: RecordKey | None = None
        while page := self.index.scan(after, _PAGE):
            yield [stamp for stamp in page if self.filter_of(stamp) is not None]
            after = page[-1].key

    def near(self, stamp: Stamp, vector: Vector, k: int) -> list[VectorHit]:
        """Return the `k` records nearest to a record, without itself."""
        where = self.filter_of(stamp) or SearchFilter()
        hits = self.index.search(stamp.space, vector, k + 1, where)
        return [hit for hit in hits if hit.stamp.key != stamp.key][:k]


def side_of(name: str, scoped: Scoped, embed_query: EmbedQuery, fuse: Fuse) -> Side:
    """
    Return one generation as a comparison asks it.

    Neighbours are those in the record's own space: vectors of several models are never compared with each other.
    """

    def search(text: str, k: int) -> list[RecordKey]:
        models = dict.fromkeys(scope.space.model_id for scope in scoped.scopes)
        vectors = {model_id: embed_query(text, model_id) for model_id in models}
        rankings = [
            scoped.index.search(scope.space, vectors[scope.space.model_id], k, SearchFilter(entity_types=scope.types))
            for scope in scoped.scopes
        ]
        return [hit.stamp.key for hit in fuse(rankings)][:k]

    def neighbours(key: RecordKey, k: int) -> list[RecordKey] | None:
        held = scoped.index.stamps([key]).get(key)
        for stamp in held.records if held is not None else ():
            if scoped.filter_of(stamp) is not None:
                vector = scoped.index.vectors([key], stamp.space).get(key)
                if vector is not None:
                    return [hit.stamp.key for hit in scoped.near(stamp, vector, k)]
        return None

    return Side(name, search, neighbours)


class Sampler:
    """
    Keeps `size` of the stamps that are added: those whose keys have the smallest digests.

    So the sample is uniform, needs no more memory than itself, and has the same records from run to run while they
    exist: a trend shows a change of quality, not of the sample.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[int, str, Stamp]] = []

    def add(self, stamp: Stamp) -> None:
        """Add a stamp, which may take another one's place in the sample."""
        text = stamp.key.encode()
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        item = (-int.from_bytes(digest, "big"), stamp.embedding_id, stamp)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, item)
        elif self._heap and item[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, item)

    @property
    def stamps(self) -> list[Stamp]:
        """The sample, smallest digest first."""
        return [stamp for _, _, stamp in sorted(self._heap, key=lambda item: (-item[0], item[1]))]
