"""
Timelines: the mark by which a graph is known at the next open, and going on with one that is not the one of before.

A graph that was restored from a backup is older than its index, or has gone another way since. Its next commits would
take positions that the index has seen already, and be fenced off. So when somebody takes it for the truth it is moved
past everything that was ever seen, with a log entry there that has all of both sides compared again.

A mark that stands in the graph and in the journal, a new one for every open, tells whether it is the same graph: a
restored one brings back the mark of an earlier day, wherever its positions may be by now. `audit/incidents.py`
looks at it, and at the rest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator

from slipstream.apply.records import forget_tombstones, move_stamps
from slipstream.audit.incidents import is_index_older, is_journal_older, publish, seal, seen_by
from slipstream.domain.journal_names import (
    ADOPTED,
    CHECKPOINT,
    GRAPH_ID,
    REMEMBERED,
    RESTAMPED,
    SEAL,
    SWEEP_DUE,
    TIMELINE,
    TOLD_OF_INDEX,
    WRITE_BACK,
)
from slipstream.domain.positions import ORIGIN, POSITION_MAX, Position
from slipstream.domain.schema import GraphSchema
from slipstream.domain.stamps import Stamp
from slipstream.domain.work import WorkItem
from slipstream.engine.word_scan import consumed_for_words
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.graph import RestoreMarks
from slipstream.ports.index import SealedIndex, VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.scans import PAGE
from slipstream.ports.words import WordRows

logger = logging.getLogger(__name__)

_MARKS_MAX = 128
"""A journal that is older than so many opens is not known any more to be of this graph."""


Schema = Callable[[], GraphSchema]
"""Returns the current schema version."""


def begin_timeline(
    marks: RestoreMarks,
    feed: ChangeFeed,
    index: VectorIndex,
    journal: Journal,
    *,
    mark: str,
    sealed: SealedIndex | None = None,
) -> None:
    """
    Note by what the graph is known from now on. Call it at every open of what `examined` found nothing wrong with.

    The mark is one never used before, without spaces. A journal that was put back is read on from where it was, and
    everything is compared then; for an index that is older than its journal the log is read from its start. Dying
    anywhere in here is harmless: the next open knows the graph all the same.
    """
    publish(journal, None)
    if is_journal_older(seen_by(index, journal), marks.timeline):
        logger.warning("the journal is from before the graph was opened last: it is read on, then all is compared")
        journal.set(SWEEP_DUE, str(feed.head()))
    if journal.get(GRAPH_ID) != (identity := marks.identity):
        journal.set(GRAPH_ID, identity)
    if _number(journal, ADOPTED) > feed.head():  # of an adoption that was given up for a restored backup
        journal.set(ADOPTED, None)
    _change_mark(marks, journal, _with(mark, marks))
    if sealed is not None:
        if journal.get(CHECKPOINT) is not None and is_index_older(journal.get(SEAL), sealed.seal()):
            logger.warning("the index is older than its journal, or was removed: it is filled again")
            with journal.transaction():
                for name in TOLD_OF_INDEX:
                    journal.set(name, None)
        seal(sealed, journal)


def adopt_graph(
    marks: RestoreMarks,
    feed: ChangeFeed,
    index: VectorIndex,
    journal: Journal,
    *,
    schema: Schema,
    mark: str,
    sealed: SealedIndex | None = None,
    words: WordRows | None = None,
) -> Position:
    """
    Take the graph for the truth: move it past everything that its index has seen, and have all of it compared.

    Returns where the comparison is asked for in the log. No engine may be running. Dying anywhere in here is
    harmless: until the graph has moved the next open finds the incident as before; from then on the rescan is in the
    log, and doing it once more only leaves another one.
    """
    version = schema()
    seen = (feed.head(), _number(journal, CHECKPOINT), _newest_of_work(journal), _newest_of_index(version, index))
    position = Position(max(*seen, consumed_for_words(journal), _newest_of_words(words)) + 1)
    journal.set(ADOPTED, str(position))  # first: the rescan must never be in the log without it
    if _number(journal, RESTAMPED) > version.version:
        journal.set(RESTAMPED, str(version.version))
    journal.set(WRITE_BACK, None)  # the sync view came back with the graph, and is as old
    forget_tombstones(index, POSITION_MAX)  # tombstones of what the graph may well hold again
    marks.advance(position)
    if sealed is not None:
        seal(sealed, journal)
    logger.warning("the graph is taken for the truth: it goes on at %s, and is compared anew", position)
    marked = _with(mark, marks)
    with journal.transaction():  # not before: until the graph has moved this may be all that tells the two apart
        journal.set(REMEMBERED, None)
        journal.set(GRAPH_ID, marks.identity)
        journal.set(TIMELINE, json.dumps([marks.timeline, marked]))
        publish(journal, None)
    _change_mark(marks, journal, marked)
    return position


def _with(mark: str, marks: RestoreMarks) -> str:
    """Return the marks that the graph bears, and a new one behind them; of many the oldest are forgotten."""
    return " ".join([*(marks.timeline or "").split()[1 - _MARKS_MAX :], mark])


def _change_mark(marks: RestoreMarks, journal: Journal, marked: str) -> None:
    """Change the marks on both sides; in between the journal knows the old ones and the new ones."""
    journal.set(TIMELINE, json.dumps([marks.timeline, marked]))
    marks.mark_timeline(marked)
    journal.set(TIMELINE, json.dumps([marked]))


def _number(journal: Journal, name: str) -> Position:
    return Position(int(journal.get(name) or 0))


def _newest_of_index(schema: GraphSchema, index: VectorIndex) -> Position:
    """Return the newest position of any stamp, and take back schema versions that the graph has no more."""
    newest = ORIGIN
    for page in _stamps(index):
        newest = max(newest, *(stamp.position for stamp in page))
        move_stamps(index, [stamp for stamp in page if stamp.schema_version > schema.version], schema)
    return newest


def _stamps(index: VectorIndex) -> Iterator[list[Stamp]]:
    page = list(index.scan(None, PAGE))
    while page:
        yield page
        page = list(index.scan(page[-1].key, PAGE))


def _newest_of_words(words: WordRows | None) -> Position:
    newest = ORIGIN
    page = [] if words is None else list(words.scan(None, PAGE))
    while words is not None and page:
        newest = max(newest, *(stamp.position for stamp in page))
        page = list(words.scan(page[-1].key, PAGE))
    return newest


def _newest_of_work(journal: Journal) -> Position:
    newest = ORIGIN
    page: list[WorkItem] = list(journal.work(None, PAGE))
    while page:
        newest = max(newest, *(item.position or ORIGIN for item in page))
        page = list(journal.work(page[-1], PAGE))
    return newest
