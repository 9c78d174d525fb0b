"""
One key on both sides, and the rule that makes an audit exact while mutations flow.

A page of keys is read from the graph and from the index one after the other, so a commit in between makes them look
different. Such a suspect is looked at again: the graph is read (at position G), the frontier is waited for until it
has passed G, and only then is the index read. A record that differs from the graph as of G, although the index
reflects everything up to G and holds nothing newer of that key, has diverged; where something newer is held, the key
is read again. It has to look the same twice before it is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from slipstream.consistency.classes import Head, classify, head_of
from slipstream.consistency.report import AuditReport
from slipstream.domain.digests import Digest, damaged_vectors, stamp_term, target_term
from slipstream.domain.entities import GraphSnapshot, RecordState
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.requests import Target
from slipstream.domain.stamps import KeyStamps, Stamp, Vector
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.recipe import Recipe

Settle = Callable[[Position], bool]
"""Waits until the index reflects everything up to a position; False when that took too long."""

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
    """Divergence class, None when both sides agree."""
    unrenderable: bool = False

    def looks_like(self, other: Compared) -> bool:
        """Whether nothing about the key has changed between two looks at it."""
        return (self.kind, self.unrenderable, self.stamps, self.damaged) == (
            other.kind,
            other.unrenderable,
            other.stamps,
            other.damaged,
        ) and _asks(self.target) == _asks(other.target)


@dataclass(slots=True)
class Outcome:
    """What became of suspects: decided ones, and keys that changed every time."""

    decided: list[Compared] = field(default_factory=list)
    unsettled: list[RecordKey] = field(default_factory=list)


class Comparer:
    """Reads and compares keys; counts what it reads in `report.rows`."""

    def __init__(
        self, graph: Graph, index: VectorIndex, recipe: Recipe, report: AuditReport, settle: Settle | None
    ) -> None:
        self._graph, self._index, self._recipe = graph, index, recipe
        self._rows = report.rows
        self._notes = report.notes
        self._settle = settle

    def targets(self, keys: Sequence[RecordKey]) -> tuple[Position, dict[RecordKey, Target | PoisonEventError]]:
        """Return what the graph asks for, and the position at which it was read; a key without a view is absent."""
        snapshot = self.snapshot(keys)
        return snapshot.position, self.rendered(snapshot)

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

    def _target(self, state: RecordState) -> Target | PoisonEventError | None:
        try:
            return self._recipe.target(state)
        except PoisonEventError as error:
            return error

    def head(self) -> Head:
        """Return how far the graph is now: no stamp that was read before can be past it."""
        return head_of(self._graph)

    def damaged(self, stamps: Sequence[Stamp]) -> list[bool]:
        """Return for each stamp whether its stored vector is damaged or gone."""
        return damaged_vectors(stamps, self._vectors(stamps))

    def checked_vectors(self, stamps: Sequence[Stamp]) -> list[tuple[Vector | None, bool]]:
        """Return the stored vector of each stamp, and whether it is damaged."""
        vectors = self._vectors(stamps)
        return list(zip(vectors, damaged_vectors(stamps, vectors), strict=True))

    def _vectors(self, stamps: Sequence[Stamp]) -> list[Vector | None]:
        # By the space's identity first: a page is of one space, whose hash would be computed for every stamp.
        spaces = {id(stamp.space): stamp.space for stamp in stamps}
        held: dict[Space, Mapping[RecordKey, Vector]] = {}
        for space in dict.fromkeys(spaces.values()):
            keys = [stamp.key for stamp in stamps if stamp.space is space or stamp.space == space]
            held[space] = self._index.vectors(keys, space)
        self._rows.add(vectors=len(stamps), queries=len(held))
        found = {number: held[space] for number, space in spaces.items()}
        return [found[id(stamp.space)].get(stamp.key) for stamp in stamps]

    # ------------------------------------------------------------------ suspects

    def decide(self, suspects: Sequence[RecordKey]) -> Outcome:
        """Look at suspects until each has agreed once, has diverged twice in the same way, or never held still."""
        outcome = Outcome()
        before: dict[RecordKey, Compared] = {}
        open_keys = list(dict.fromkeys(suspects))
        for _ in range(_ROUNDS_MAX):
            if not open_keys:
                break
            looked = list(self._look(open_keys))
            open_keys = []
            for compared, is_settled in looked:
                last, before[compared.key] = before.get(compared.key), compared
                agrees = compared.kind is None and not compared.unrenderable
                if agrees or (is_settled and last is not None and last.looks_like(compared)):
                    outcome.decided.append(compared)
                else:
                    open_keys.append(compared.key)
        outcome.unsettled.extend(open_keys)
        return outcome

    def _look(self, keys: Sequence[RecordKey]) -> Iterator[tuple[Compared, bool]]:
        """Yield each key as it stands, and whether the index holds nothing newer than what the graph was read at."""
        position, targets = self.targets(keys)
        self._wait_for(position)
        held = self._index.stamps(keys)
        self._rows.add(index=len(keys), queries=1)
        every = [stamp for key in keys for stamp in held.get(key, _NOTHING).records]
        damaged = dict(zip(((s.key, s.space) for s in every), self.damaged(every), strict=True))
        # A stamp that was written between the two reads has a vector of its own: read again, do not judge.
        after = self._index.stamps(keys)
        head = self.head()
        for key in keys:
            known = held.get(key, _NOTHING)
            flags = tuple(damaged[key, stamp.space] for stamp in known.records)
            compared = compare(key, targets.get(key), known.records, flags, head)
            newest = max([*(s.position for s in known.records), known.tombstone or Position(0)], default=0)
            is_steady = after.get(key, _NOTHING).records == known.records
            # What is newer than the graph itself is no later commit, but damage.
            yield compared, is_steady and not position < newest <= head.position

    def _wait_for(self, position: Position) -> None:
        if self._settle is not None and not self._settle(position):
            self._settle = None  # once is enough: what lags is reported as it stands
            self._notes.append(f"the index did not reach position {position} in time: what lags counts as divergent")


def compare(
    key: RecordKey,
    wanted: Target | PoisonEventError | None,
    stamps: Sequence[Stamp],
    damaged: Sequence[bool],
    head: Head,
) -> Compared:
    """Compare one key."""
    if isinstance(wanted, PoisonEventError):
        return Compared(key, None, tuple(stamps), tuple(damaged), unrenderable=True)
    kind = classify(wanted, stamps, damaged, head)
    return Compared(key, wanted, tuple(stamps), tuple(damaged), kind)


def count(report: AuditReport, compared: Compared) -> None:
    """Enter one decided key into the report."""
    report.total_embeddings += len(compared.stamps)
    if compared.unrenderable:
        report.unrenderable.append(compared.key)
    elif compared.kind is not None:
        report.divergences[compared.kind].append(compared.key)
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


def _asks(target: Target | None) -> object:
    return None if target is None else (target.space, target.fingerprint, target.entity_type, target_term(target))
