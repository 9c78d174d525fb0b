"""Whole scans over the ports, page by page, and both sides joined: how graph and index are compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeAlias

from slipstream.domain.digests import KeyRange
from slipstream.domain.entities import KeyedType
from slipstream.domain.keys import RecordKey
from slipstream.domain.merge import merge_join
from slipstream.domain.stamps import Stamp
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex

PAGE = 1_000
PageSize: TypeAlias = "int | Callable[[], int]"
"""How many rows a page has: always, or asked before each one."""


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

    Of relationships of other types than the given ones (None: all) only what the index has is seen.
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
