"""Whole scans over the ports, page by page, and both sides joined: how graph and index are compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from slipstream.domain.digests import KeyRange, damaged_vectors
from slipstream.domain.entities import Hop, KeyedType, StatePage
from slipstream.domain.held import HeldPage, held_page
from slipstream.domain.keys import RecordKey
from slipstream.domain.merge import merge_join
from slipstream.domain.models import Space
from slipstream.domain.stamps import Stamp, Vector
from slipstream.ports.digests import ContentScan
from slipstream.ports.graph import GraphReader, StateScan
from slipstream.ports.index import VectorIndex

PAGE = 1_000
PageSize: TypeAlias = "int | Callable[[], int]"
"""How many rows a page has, or a function that is asked before each page."""


def _rows(page: PageSize) -> int:
    return page if isinstance(page, int) else page()


def scan_graph(
    graph: GraphReader,
    page: PageSize = PAGE,
    after: RecordKey | None = None,
    relationship_types: Collection[str] | None = None,
) -> Iterator[KeyedType]:
    """Yield every key of the graph behind `after`, in key order; relationships of some types only (None: all)."""
    while rows := graph.scan(after, _rows(page), relationship_types):
        yield from rows
        after = rows[-1].key


def scan_index(index: VectorIndex, page: PageSize = PAGE, after: RecordKey | None = None) -> Iterator[Stamp]:
    """Yield every stamp of the index behind `after`, in key order."""
    while rows := index.scan(after, _rows(page)):
        yield from rows
        after = rows[-1].key


def scan_both(
    graph: GraphReader,
    index: VectorIndex,
    page: PageSize = PAGE,
    after: RecordKey | None = None,
    relationship_types: Collection[str] | None = None,
) -> Iterator[tuple[KeyedType | None, list[Stamp]]]:
    """
    Yield every key of either side behind `after`, in key order: its row in the graph, if any, and its stamps.

    Relationships whose type is not given (None: all are) are seen only where the index has records of them.
    """
    return merge_join(
        scan_graph(graph, page, after, relationship_types),
        scan_index(index, page, after),
        lambda row: row.key.encode(),
        lambda stamp: stamp.key.encode(),
    )


def scan_range(index: VectorIndex, bounds: KeyRange, page: PageSize = PAGE) -> Iterator[Sequence[Stamp]]:
    """Yield pages of the stamps within a range of keys, in key order."""
    after = RecordKey.decode(bounds.after) if bounds.after else None
    while rows := index.scan(after, _rows(page)):
        if bounds.through is not None and rows[-1].key.encode() > bounds.through:
            inside = [stamp for stamp in rows if stamp.key.encode() <= bounds.through]
            if inside:
                yield inside
            return
        yield rows
        after = rows[-1].key


def read_contents(index: VectorIndex, after: str, limit: int) -> HeldPage:
    """Return a page of records, as `ContentScan.contents` does; of an index without it by stamps and vectors."""
    if isinstance(index, ContentScan):
        return index.contents(after, limit)
    stamps = index.scan(RecordKey.decode(after) if after else None, limit)
    return held_page(stamps, damaged_vectors(stamps, vectors_of(index, stamps)))


def vectors_of(index: VectorIndex, stamps: Sequence[Stamp]) -> list[Vector | None]:
    """Return the stored vector of each stamp, None where it is gone; one call for each space."""
    # By the object's identity first: most pages are of one space, and its hash would be computed for every stamp.
    spaces = {id(stamp.space): stamp.space for stamp in stamps}
    held: dict[Space, Mapping[RecordKey, Vector]] = {}
    for space in dict.fromkeys(spaces.values()):
        held[space] = index.vectors([s.key for s in stamps if s.space is space or s.space == space], space)
    found = {number: held[space] for number, space in spaces.items()}
    return [found[id(stamp.space)].get(stamp.key) for stamp in stamps]


def read_states(
    graph: GraphReader,
    after: str,
    through: str | None,
    limit: int,
    hops: Mapping[str, Sequence[Hop]],
    relationship_types: Collection[str] | None = None,
) -> StatePage:
    """Return a page of states, as `StateScan.states` does; of a graph without it by a scan of keys and a read."""
    if isinstance(graph, StateScan):
        return graph.states(after, through, limit, hops, relationship_types)
    rows = graph.scan(RecordKey.decode(after) if after else None, limit, relationship_types)
    keys = [row.key for row in rows if through is None or row.key.encode() <= through]
    is_whole = len(keys) < len(rows) or len(rows) < limit
    return StatePage(graph.read(keys, hops), None if is_whole else keys[-1].encode())
