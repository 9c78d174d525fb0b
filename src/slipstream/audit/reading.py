"""Both stores, page by page in key order: the index first, so that no stamp can be past what the graph is read at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from slipstream.audit.findings import RowsRead
from slipstream.domain.entities import GraphSnapshot, Hop
from slipstream.domain.held import HeldPage
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import read_contents, read_states


@dataclass(frozen=True, slots=True)
class Page:
    """A range of keys on both sides: what the index held, and what the graph says at a later position."""

    held: HeldPage
    snapshot: GraphSnapshot
    through: str | None
    """The last key of the range, None: it goes to the end."""


def read_pages(
    graph: GraphReader,
    index: VectorIndex,
    hops: Callable[[], Mapping[str, Sequence[Hop]]],
    relationship_types: Collection[str],
    page: Callable[[], int],
    rows: RowsRead,
) -> Iterator[Page]:
    """Yield the whole of both sides, in ranges of about `page` keys; for each of them either store is called once."""
    after: str | None = ""
    held = HeldPage()
    while after is not None:
        if not held:
            held = read_contents(index, after, page())
            rows.add(index=len(held), vectors=len(held), queries=1)
        states = read_states(graph, after, held.last, page(), hops(), relationship_types)
        rows.add(graph=len(states.snapshot.states), queries=1)
        after = held.last if states.through is None else states.through
        # Where much is missing, the graph's page ends first: the rest of the other one is of the next range.
        now, held = held.cut(after)
        yield Page(now, states.snapshot, after)
