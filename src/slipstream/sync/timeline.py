"""
Timelines: whether the graph is still the one that the index was built from, and what to do when it is not.

A graph that was restored from a backup is older than its index, or has gone another way since. Its next commits would
take positions that the index has seen already, and be fenced off. So the graph is moved past everything that was ever
seen, with a log entry there that has all of both sides compared again.

Whether it is the same graph is told by a mark, a new one for every open, that stands in the graph and in the journal:
a restored graph brings back the mark of an earlier day, wherever its positions may be by now.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from slipstream.domain.positions import ORIGIN, POSITION_MAX, Position
from slipstream.domain.schema import GraphSchema
from slipstream.domain.stamps import Stamp
from slipstream.domain.work import WorkItem
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.log import ChangeLog
from slipstream.ports.scans import PAGE
from slipstream.sync.names import CHECKPOINT, RESTAMPED, TIMELINE, WRITE_BACK

logger = logging.getLogger(__name__)


class MarkedGraph(Protocol):
    """What healing needs of a `WritableGraph`."""

    @property
    def timeline(self) -> str | None:
        """The mark that was left last."""
        ...

    def mark_timeline(self, mark: str) -> None:
        """Leave a mark."""
        ...

    def advance(self, position: Position) -> Position:
        """Make the log's head at least `position`, with a rescan of everything there."""
        ...

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        ...


def heal_timeline(
    graph: MarkedGraph, log: ChangeLog, index: VectorIndex, journal: Journal, *, mark: str
) -> Position | None:
    """
    Move a restored graph past everything that its index has seen; None when there was nothing to heal.

    Call it at every open with a mark never used before, and before an engine is made: nothing may be in flight.
    Dying anywhere in here is harmless. Until the graph has moved, the next open finds the same and begins anew;
    from then on the rescan is in the log, and moving once more only leaves another one.
    """
    problem = _whats_wrong(graph, log, journal)
    position = None if problem is None else _move_on(graph, log, index, journal)
    if problem is not None:
        logger.warning(
            "the graph was restored or replaced while it was closed: %s. It goes on at %s, and is compared anew",
            problem,
            position,
        )
    _leave_mark(graph, journal, mark)
    return position


def _whats_wrong(graph: MarkedGraph, log: ChangeLog, journal: Journal) -> str | None:
    head, checkpoint = log.head(), _number(journal, CHECKPOINT)
    if checkpoint > head:
        return f"its log ends at {head}, but the index has seen {checkpoint}"
    marks = journal.get(TIMELINE)
    if marks is not None and graph.timeline not in json.loads(marks):
        return "it does not carry the mark that the last process has left"
    return None


def _leave_mark(graph: MarkedGraph, journal: Journal, mark: str) -> None:
    """Change the mark on both sides; in between the journal knows the old one and the new one."""
    journal.set(TIMELINE, json.dumps([graph.timeline, mark]))
    graph.mark_timeline(mark)
    journal.set(TIMELINE, json.dumps([mark]))


def _move_on(graph: MarkedGraph, log: ChangeLog, index: VectorIndex, journal: Journal) -> Position:
    seen = (log.head(), _number(journal, CHECKPOINT), _newest_of_work(journal), _newest_of_index(graph, index))
    if _number(journal, RESTAMPED) > graph.schema().version:
        journal.set(RESTAMPED, str(graph.schema().version))
    journal.set(WRITE_BACK, None)  # the sync view came back with the graph, and is as old
    index.vacuum(POSITION_MAX)  # tombstones of what the graph may well hold again
    return graph.advance(Position(max(seen) + 1))


def _number(journal: Journal, name: str) -> Position:
    return Position(int(journal.get(name) or 0))


def _newest_of_index(graph: MarkedGraph, index: VectorIndex) -> Position:
    """Return the newest position of any stamp, and take back schema versions that the graph has no more."""
    newest, schema = ORIGIN, graph.schema()
    for page in _stamps(index):
        newest = max(newest, *(stamp.position for stamp in page))
        ahead = [stamp for stamp in page if stamp.schema_version > schema.version]
        if ahead:
            index.restamp([replace(s, schema_version=schema.version, schema_hash=schema.hash) for s in ahead])
    return newest


def _stamps(index: VectorIndex) -> Iterator[list[Stamp]]:
    page = list(index.scan(None, PAGE))
    while page:
        yield page
        page = list(index.scan(page[-1].key, PAGE))


def _newest_of_work(journal: Journal) -> Position:
    newest = ORIGIN
    page: list[WorkItem] = list(journal.work(None, PAGE))
    while page:
        newest = max(newest, *(item.position or ORIGIN for item in page))
        page = list(journal.work(page[-1], PAGE))
    return newest
