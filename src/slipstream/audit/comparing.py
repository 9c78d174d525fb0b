"""
One key on both sides, and the rule that makes an audit exact while mutations flow.

A page of keys is read from the graph and from the index one after the other, so a commit in between makes them look
different. Such a suspect is looked at again: the graph is read (at position G), the frontier is waited for until it
has passed G, and only then is the index read. A record that differs from the graph as of G, although the index
reflects everything up to G and holds nothing newer of that key, has diverged; where something newer is held, the key
is read again. It has to look the same twice before it is reported.

The wait is for single keys: one that waits for its retry holds the frontier back, and the others are judged all the
same. A key that differs is owed, whatever it looks like, when the engine is still to deal with it as patience ends,
or when it waits for a repair, a migration or a backfill: then it is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from slipstream.audit.classes import Head, classify
from slipstream.audit.findings import OWED, UNRENDERABLE, UNSETTLED, AuditReport
from slipstream.audit.pacing import FULL_SPEED, Pace, paced
from slipstream.audit.reading import Page, read_pages
from slipstream.domain.audits import Suspect
from slipstream.domain.digests import Content, Digest, damaged_vectors, stamp_term, target_term
from slipstream.domain.entities import EntityState, GraphSnapshot, RecordState
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.requests import Target
from slipstream.domain.schema import GraphSchema
from slipstream.domain.stamps import KeyStamps, Stamp, Vector
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.recipe import Recipe
from slipstream.ports.scans import vectors_of


class Settle(Protocol):
    """Waits until the index reflects what the graph says of some keys."""

    def __call__(
        self, position: Position, keys: Sequence[RecordKey], patience_s: float
    ) -> Collection[RecordKey] | None:
        """
        Wait until the keys are reflected up to a position; return those that still are not when patience ends.

        None when they never will be: nothing is at work.
        """
        ...


class Owed(Protocol):
    """Knows what the engine is still to deal with."""

    def __call__(self, suspects: Sequence[Suspect], position: Position) -> Mapping[RecordKey, str]:
        """
        Return those of the suspects that are owed now, with the lane that each waits in.

        The graph was read at `position`, and the index after that.
        """
        ...


PATIENCE_S = 30.0
"""How long an audit waits for keys that lag; each wait in vain leaves a quarter of it for the next one."""

LIVE = "live"
"""The lane of what only the log knows of."""
_ROUNDS_MAX = 8
_NOTHING = KeyStamps()


@dataclass(frozen=True, slots=True)
class Compared:
    """One key as it stands on both sides."""

    key: RecordKey
    target: Target | None
    stamps: tuple[Stamp, ...] = ()
    damaged: tuple[bool, ...] = ()
    kind: str | None = None
    """Divergence class, `unrenderable` or `owed`; None when both sides agree."""
    entity_type: str = ""
    """As far as it is known."""
    lane: str = ""
    """What an owed one waits in."""

    def looks_like(self, other: Compared) -> bool:
        """Whether nothing about the key has changed between two looks at it."""
        return (self.kind, self.stamps, self.damaged) == (other.kind, other.stamps, other.damaged) and _asks(
            self.target
        ) == _asks(other.target)


@dataclass(slots=True)
class Outcome:
    """What became of suspects: decided ones, and those that changed every time."""

    decided: list[Compared] = field(default_factory=list)
    unsettled: list[Compared] = field(default_factory=list)


class Comparer:
    """Reads and compares keys, at a pace; counts what it reads in `report.rows`."""

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        recipe: Recipe,
        report: AuditReport,
        settle: Settle | None,
        pace: Pace = FULL_SPEED,
        owed: Owed | None = None,
    ) -> None:
        self._graph, self._index, self._recipe = graph, index, recipe
        self._rows = report.rows
        self._notes = report.notes
        self._settle, self._patience_s, self._owed = settle, PATIENCE_S, owed
        self._pace = pace
        self._schema: tuple[GraphSchema, str] | None = None

    def pages(self, covers: Callable[[str], bool] | None = None) -> Iterator[Page]:
        """Yield the whole of both sides, page by page, with the relationship types that `covers` asks for too."""
        covered = self.covered_relationships()
        if covers is not None:
            covered |= frozenset(filter(covers, self._graph.schema().relationship_types))
        return read_pages(self._graph, self._index, self._recipe.hops, covered, lambda: self._pace.page, self._rows)

    def targets(self, keys: Sequence[RecordKey]) -> dict[RecordKey, Target | PoisonEventError]:
        """Return what the graph asks for now; a key without a view is absent."""
        return self.rendered(self.snapshot(keys))

    def snapshot(self, keys: Sequence[RecordKey]) -> GraphSnapshot:
        """Return what the graph holds of the keys now."""
        self._rows.add(graph=len(keys), queries=1)
        return self._graph.read(keys, self._recipe.hops())

    def rendered(self, snapshot: GraphSnapshot) -> dict[RecordKey, Target | PoisonEventError]:
        """Return what a snapshot asks for; a key without a view is absent."""
        found: dict[RecordKey, Target | PoisonEventError] = {}
        for key, state in snapshot.states.items():
            target = self._target(state)
            if target is not None:
                found[key] = target
        return found

    def asked(self, snapshot: GraphSnapshot) -> tuple[list[Content], list[RecordKey]]:
        """Return the contents that a snapshot asks for, in its order, and the keys that can not be rendered."""
        contents: list[Content] = []
        poisoned: list[RecordKey] = []
        content_of = self._recipe.content
        for key, state in snapshot.states.items():
            try:
                content = content_of(state)
            except PoisonEventError:
                poisoned.append(key)
            else:
                if content is not None:
                    contents.append(content)
        return contents, poisoned

    def _target(self, state: RecordState) -> Target | PoisonEventError | None:
        try:
            return self._recipe.target(state)
        except PoisonEventError as error:
            return error

    def covered_relationships(self) -> frozenset[str]:
        """Return the relationship types that have records: the others need not be read."""
        return frozenset(filter(self._recipe.covers_relationships, self._graph.schema().relationship_types))

    def head(self) -> Head:
        """Return how far the graph is now: no stamp that was read before can be past it."""
        return self.head_at(self._graph.read([], {}).position)

    def head_at(self, position: Position) -> Head:
        """Return how far the graph is, when it has just been read at a position."""
        schema = self._graph.schema()
        if self._schema is None or self._schema[0] is not schema:
            self._schema = (schema, schema.hash)  # digested once a version, not once a page
        return Head(position, schema.version, self._schema[1])

    def damaged(self, stamps: Sequence[Stamp]) -> list[bool]:
        """Return for each stamp whether its stored vector is damaged or gone."""
        return damaged_vectors(stamps, self._vectors(stamps))

    def alone(self, keys: Sequence[RecordKey]) -> Iterator[tuple[Stamp, Vector]]:
        """Yield stamp and vector of keys that have one record each, whose vector is not damaged."""
        held = self._index.stamps(keys)
        self._rows.add(index=len(keys), queries=1)
        stamps = [known.records[0] for key in keys if len((known := held.get(key, _NOTHING)).records) == 1]
        for stamp, (vector, damaged) in zip(stamps, self.checked_vectors(stamps), strict=True):
            if vector is not None and not damaged:
                yield stamp, vector

    def checked_vectors(self, stamps: Sequence[Stamp]) -> list[tuple[Vector | None, bool]]:
        """Return the stored vector of each stamp, and whether it is damaged."""
        vectors = self._vectors(stamps)
        return list(zip(vectors, damaged_vectors(stamps, vectors), strict=True))

    def _vectors(self, stamps: Sequence[Stamp]) -> list[Vector | None]:
        self._rows.add(vectors=len(stamps), queries=len({stamp.space for stamp in stamps}))
        return vectors_of(self._index, stamps)

    # ------------------------------------------------------------------ suspects

    def decide(self, suspects: Sequence[RecordKey]) -> Outcome:
        """Look at suspects until each has agreed once, has diverged twice in the same way, or never held still."""
        outcome = Outcome()
        for keys in paced(dict.fromkeys(suspects), self._pace):
            self._decide_page(keys, outcome)
            self._pace.rest()
        return outcome

    def _decide_page(self, open_keys: list[RecordKey], outcome: Outcome) -> None:
        before: dict[RecordKey, Compared] = {}
        for _ in range(_ROUNDS_MAX):
            if not open_keys:
                return
            looked = list(self._look(open_keys))
            open_keys = []
            for compared, is_settled in looked:
                last, before[compared.key] = before.get(compared.key), compared
                is_over = compared.kind in (None, OWED)
                if is_over or (is_settled and last is not None and last.looks_like(compared)):
                    outcome.decided.append(compared)
                else:
                    open_keys.append(compared.key)
        outcome.unsettled.extend(before[key] for key in open_keys)

    def _look(self, keys: Sequence[RecordKey]) -> Iterator[tuple[Compared, bool]]:
        """Yield each key as it stands, and whether the index holds nothing newer than what the graph was read at."""
        snapshot = self.snapshot(keys)
        position, targets = snapshot.position, self.rendered(snapshot)
        lagging = self._wait_for(position, keys)
        held = self._index.stamps(keys)
        self._rows.add(index=len(keys), queries=1)
        every = [stamp for key in keys for stamp in held.get(key, _NOTHING).records]
        damaged = dict(zip(((s.key, s.space) for s in every), self.damaged(every), strict=True))
        head = self.head()
        looked = []
        for key in keys:
            known = held.get(key, _NOTHING)
            flags = tuple(damaged[key, stamp.space] for stamp in known.records)
            looked.append(compare(key, snapshot.states.get(key), targets.get(key), known, flags, head))
        # Between the two reads of the index: what was owed before, and is not any more, was written meanwhile.
        owed = self._owed_among(looked, lagging, position)
        # A stamp that was written between the two reads has a vector of its own: read again, do not judge.
        after = self._index.stamps(keys)
        for seen in looked:
            key, known = seen.key, held.get(seen.key, _NOTHING)
            compared = replace(seen, kind=OWED, lane=owed[key]) if key in owed else seen
            newest = max([*(s.position for s in known.records), known.tombstone or Position(0)], default=0)
            is_steady = after.get(key, _NOTHING).records == known.records
            # What is newer than the graph itself is no later commit, but damage.
            yield compared, is_steady and not position < newest <= head.position

    def _owed_among(
        self, looked: Sequence[Compared], lagging: Collection[RecordKey], position: Position
    ) -> Mapping[RecordKey, str]:
        """Return the lanes that the keys which differ wait in; none where nothing can be waited for."""
        differing = [Suspect(c.key, c.kind, c.entity_type, c.stamps) for c in looked if c.kind is not None]
        found = dict.fromkeys((suspect.key for suspect in differing if suspect.key in lagging), LIVE)
        if differing and self._settle is not None and self._owed is not None:
            found.update(self._owed(differing, position))
        return found

    def _wait_for(self, position: Position, keys: Sequence[RecordKey]) -> Collection[RecordKey]:
        """Wait for the index; returns the keys of which nothing can be said, because it is still at work on them."""
        if self._settle is None:
            return ()
        lagging = self._settle(position, keys, self._patience_s)
        if lagging is None:
            self._settle = None  # what lags is reported as it stands
            self._notes.append(
                f"the engine is not at work and the index not at position {position}: what lags counts as divergent"
            )
            return ()
        if lagging:
            self._patience_s /= 4
        return frozenset(lagging)


def compare(
    key: RecordKey,
    state: RecordState | None,
    wanted: Target | PoisonEventError | None,
    held: KeyStamps,
    damaged: Sequence[bool],
    head: Head,
) -> Compared:
    """Compare one key."""
    name = _type_of(state) or next((stamp.entity_type for stamp in held.records), "")
    target = wanted if isinstance(wanted, Target) else None
    if isinstance(wanted, PoisonEventError):
        kind: str | None = UNRENDERABLE
    else:
        kind = classify(target, held.records, damaged, head)
        if kind is None and held.tombstone is not None and held.tombstone > head.position:
            kind = "corrupt"  # no commit has left it, and it would fence off every one to come
    return Compared(key, target, held.records, tuple(damaged), kind, name)


def _type_of(state: RecordState | None) -> str:
    if state is None:
        return ""
    return state.entity.type if isinstance(state, EntityState) else state.relationship.ref.type


def enter(report: AuditReport, outcome: Outcome) -> None:
    """Enter what became of suspects into the report."""
    for compared in outcome.decided:
        count(report, compared)
    for compared in outcome.unsettled:
        report.note(UNSETTLED, compared.key, compared.entity_type)


def count(report: AuditReport, compared: Compared) -> None:
    """Enter one decided key into the report."""
    report.total_embeddings += len(compared.stamps)
    if compared.kind == OWED:
        report.note(OWED, compared.key, compared.entity_type, compared.lane)
        return
    if compared.kind is not None:
        report.note(compared.kind, compared.key, compared.entity_type)
        report.strays += compared.kind == "corrupt" and compared.target is None
    if compared.target is not None:
        row = report.of_type(compared.target.entity_type)
        row.expected += 1
        row.found += bool(compared.stamps)
        row.fresh += compared.kind is None
        row.graph = row.graph.plus(Digest(1, target_term(compared.target)))
    for stamp, damaged in zip(compared.stamps, compared.damaged, strict=True):
        row = report.of_type(stamp.entity_type)
        is_bad = damaged or compared.kind == "corrupt"  # also by its position
        row.index = row.index.plus(Digest(1, stamp_term(stamp, damaged=is_bad)))


def take_back(report: AuditReport, compared: Compared, kind: str) -> None:
    """Enter a key as divergent, or owed, that was counted as fresh when only its digest, or stamp, had been seen."""
    report.note(kind, compared.key, compared.entity_type, compared.lane)
    report.strays += kind == "corrupt" and compared.target is None
    if compared.target is not None:
        row = report.of_type(compared.target.entity_type)
        row.fresh = max(0, row.fresh - 1)
        if kind == OWED:  # it is in no figure
            row.expected, row.found = max(0, row.expected - 1), max(0, row.found - 1)


def _asks(target: Target | None) -> object:
    return None if target is None else (target.space, target.fingerprint, target.entity_type, target_term(target))
