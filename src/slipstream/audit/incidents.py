"""
Whether graph, index and journal still belong together: looked at when a PKG is opened, before anything is written.

The journal knows the graph by four things: its identity, a mark that is new with every open, how far its log was
read, and what the log said there. The graph bears the marks of the opens before, too: so a journal that was put back
is told from a graph that was. An index that stands in a store of its own bears a seal that the journal knows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import uuid4

from slipstream.domain.incidents import Incident, IncidentKind, incident
from slipstream.domain.journal_names import CHECKPOINT, GRAPH_ID, INCIDENT, REMEMBERED, SEAL, TIMELINE
from slipstream.domain.positions import ORIGIN, Position
from slipstream.engine.maintenance import told_at
from slipstream.engine.word_scan import consumed_for_words
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.graph import GraphReader, RestoreMarks
from slipstream.ports.index import SealedIndex, VectorIndex
from slipstream.ports.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What index and journal have seen of a graph."""

    checkpoint: Position = ORIGIN
    holds_records: bool = False
    """Whether there is anything in the index; not looked at where the checkpoint says enough."""
    identity: str | None = None
    marks: tuple[str | None, ...] | None = None
    """The mark that was left in the graph, for a moment two of them; None when none was left."""
    remembered: Position = ORIGIN
    told: str | None = None
    """A digest of what the log said at the remembered position."""

    @property
    def anything(self) -> bool:
        """Whether there is something that could be lost."""
        return self.checkpoint > ORIGIN or self.holds_records


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the graph says of itself."""

    identity: str
    head: Position = ORIGIN
    is_empty: bool = False
    """Whether it has neither entities nor a log."""
    mark: str | None = None
    """Its marks, the newest one last."""
    told: str | None = None
    """A digest of what the log says at the position that was remembered; None when it says nothing, or no more."""


def judge(seen: Seen, found: Found | None) -> Incident | None:
    """Return what is wrong with a graph (None: there is no file, or nothing in it); None when it is the right one."""
    if not seen.anything:
        return None
    if found is None:
        what = f"the graph is gone: there is no graph.db, or nothing in it, but the index {_has_seen(seen)}"
        return incident(IncidentKind.MISSING, what)
    if found.is_empty:
        return incident(IncidentKind.EMPTY, f"the graph is empty, but the index {_has_seen(seen)}")
    bears_mark = seen.marks is None or any(_bears(found.mark, left) for left in seen.marks)
    # A graph that bears the last mark is the same one, whatever has become of its identity.
    if seen.identity not in (None, found.identity) and (seen.marks is None or not bears_mark):
        return incident(IncidentKind.ANOTHER, "graph.db is another graph than the one that the index was built from")
    why = _why_older(seen, found, bears_mark=bears_mark)
    return None if why is None else incident(IncidentKind.OLDER, f"graph.db is older than its index: {why}")


def _bears(mark: str | None, left: str | None) -> bool:
    """Whether a graph bears the newest of the marks that were left in it, now or before others."""
    return mark is None if left is None else left.split()[-1] in (mark or "").split()


def is_journal_older(seen: Seen, mark: str | None) -> bool:
    """Whether the graph, which is the right one, was opened since beside a newer journal."""
    return seen.anything and seen.marks is not None and mark not in seen.marks


def _has_seen(seen: Seen) -> str:
    return f"has seen its log up to {seen.checkpoint}" if seen.checkpoint > ORIGIN else "holds records"


def _why_older(seen: Seen, found: Found, *, bears_mark: bool) -> str | None:
    if seen.checkpoint > found.head:
        return f"its log ends at {found.head}, but the index has seen {seen.checkpoint}"
    if seen.told is not None and found.told not in (None, seen.told):
        return f"its log says something else at {seen.remembered} than it did"
    if not bears_mark:
        return "it does not carry the mark that the last process has left"
    return None


def judge_seal(kept: str | None, borne: str | None) -> Incident | None:
    """Return what is wrong with an index, by the seal that it bears and the one that its journal keeps."""
    if borne is None:
        return None
    name, number = json.loads(borne)
    if kept is None:
        return _index_newer("its journal (index.db) is gone")
    known_name, known_number = json.loads(kept)
    if name != known_name:
        return _index_newer("the journal (index.db) is that of another index")
    if number > known_number:
        return _index_newer("the journal (index.db) is from before the index was opened last")
    return None


def is_index_older(kept: str | None, borne: str | None) -> bool:
    """Whether an index is not the one that its journal was left with: it was removed, or an older copy put back."""
    if kept is None:
        return False
    if borne is None:
        return True
    number, known_number = json.loads(borne)[1], json.loads(kept)[1]
    return bool(number < known_number - 1)  # one less is what dying in `seal` leaves


def _index_newer(why: str) -> Incident:
    return incident(IncidentKind.INDEX_NEWER, f"the index is newer than its journal: {why}")


# ---------------------------------------------------------------------- looking


def examined(
    marks: RestoreMarks,
    feed: ChangeFeed,
    graph: GraphReader,
    index: VectorIndex,
    journal: Journal,
    sealed: SealedIndex | None = None,
) -> Incident | None:
    """Look at all of them, and return what is wrong; writes nothing."""
    seen = seen_by(index, journal)
    wrong = judge(seen, _found(marks, feed, graph, seen.remembered) if seen.anything else None)
    return wrong or (None if sealed is None else judge_seal(journal.get(SEAL), sealed.seal()))


def seen_by(index: VectorIndex, journal: Journal) -> Seen:
    """Return what index and journal have seen of their graph."""
    checkpoint = max(Position(int(journal.get(CHECKPOINT) or 0)), consumed_for_words(journal))
    remembered, told = json.loads(journal.get(REMEMBERED) or "[0, null]")
    marks = journal.get(TIMELINE)
    return Seen(
        checkpoint=checkpoint,
        holds_records=checkpoint == ORIGIN and bool(index.scan(None, 1)),
        identity=journal.get(GRAPH_ID),
        marks=None if marks is None else tuple(json.loads(marks)),
        remembered=Position(remembered),
        told=told,
    )


def _found(marks: RestoreMarks, feed: ChangeFeed, graph: GraphReader, remembered: Position) -> Found:
    head = feed.head()
    return Found(
        identity=marks.identity,
        head=head,
        is_empty=head == ORIGIN and not graph.scan(None, 1),
        mark=marks.timeline,
        told=told_at(feed, remembered),
    )


# ---------------------------------------------------------------------- noting


def seal(index: SealedIndex, journal: Journal) -> None:
    """
    Give the index the next seal, for this open.

    The journal knows it first: dying in between leaves an index that is older than its journal, which it may be.
    """
    kept = journal.get(SEAL)
    name, number = (uuid4().hex, 0) if kept is None else json.loads(kept)
    text = json.dumps([name, number + 1])
    journal.set(SEAL, text)
    index.set_seal(text)


def published_incident(journal: Journal) -> Incident | None:
    """Return the incident that the owner of the engine has found, for a process beside it."""
    text = journal.get(INCIDENT)
    return None if text is None else Incident.load(text)


def publish(journal: Journal, found: Incident | None) -> None:
    """Tell other processes of an incident, or that there is none (any more); writes only what is new."""
    text = None if found is None else found.dump()
    if journal.get(INCIDENT) != text:
        journal.set(INCIDENT, text)
