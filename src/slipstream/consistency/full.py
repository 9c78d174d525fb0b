"""The full audit: streams both stores in key order, asks no ledger and no digest, and reads every vector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from slipstream.consistency.classes import Head
from slipstream.consistency.comparing import Comparer, enter
from slipstream.consistency.drift import DriftCheck
from slipstream.consistency.ledger import LedgerBuilder
from slipstream.consistency.pacing import Pace, paced
from slipstream.consistency.report import AuditReport
from slipstream.domain.digests import (
    Digest,
    KeyRange,
    digests_by_type,
    is_as_asked,
    stamp_term,
    target_term,
    unrenderable_term,
)
from slipstream.domain.entities import GraphSnapshot, KeyedType
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.requests import Target
from slipstream.domain.stamps import Stamp, Vector
from slipstream.ports.digests import KeptDigests
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import scan_both

Progress = Callable[[int], None]
"""Told how many keys have been compared so far; may raise, to stop."""

T = TypeVar("T")
_SUSPECTS_AT_ONCE = 500
_SHOWN_MAX = 5
_Row = tuple[KeyedType | None, list[Stamp]]


@dataclass(frozen=True, slots=True)
class _Page:
    """What was read of some keys, in this order: stamps, graph, vectors."""

    rows: Sequence[_Row]
    snapshot: GraphSnapshot
    head: Head
    vectors: Sequence[tuple[Vector | None, bool]]


class FullAudit:
    """One pass over both stores. Memory grows with the divergences only."""

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        comparer: Comparer,
        report: AuditReport,
        *,
        builder: LedgerBuilder | None,
        drift: DriftCheck | None,
        pace: Pace,
    ) -> None:
        self._graph, self._index = graph, index
        self._comparer, self._report = comparer, report
        self._builder, self._drift = builder, drift
        self._pace = pace
        self._suspects: list[RecordKey] = []
        self._reached = ""
        self._missed: list[RecordKey] = []

    def run(self, on_progress: Progress | None) -> None:
        """Compare everything."""
        began, compared = self._comparer.head(), 0
        covered = self._comparer.covered_relationships()
        rows = scan_both(self._graph, self._index, lambda: self._pace.page, relationship_types=covered)
        for page in paced(rows, self._pace):
            self._compare(self._read(page), began)
            if len(self._suspects) >= _SUSPECTS_AT_ONCE:
                self._decide()
            compared += len(page)
            self._pace.rest()
            if on_progress is not None:
                on_progress(compared)
        self._decide()
        self._look_at_kept(None, [], [])
        if self._missed:
            shown = ", ".join(key.encode() for key in self._missed[:_SHOWN_MAX])
            said = f"the digests kept beside the index were wrong for {len(self._missed):,} keys ({shown} …)"
            self._report.notes.append(f"{said}: somebody else has written to it; they are right now")

    def _look_at_kept(self, through: str | None, stamps: Sequence[Stamp], damaged: Sequence[bool]) -> None:
        """Have digests that are kept beside the index compared with what was read up to a key."""
        if isinstance(self._index, KeptDigests):
            self._missed += self._index.missed(KeyRange(self._reached, through), stamps, damaged)
            self._reached = through or ""

    def _read(self, rows: Sequence[_Row]) -> _Page:
        """Read what the graph says now of some keys whose stamps have been read, and their vectors."""
        snapshot = self._comparer.snapshot([row.key for row, _ in rows if row])
        head = self._comparer.head_at(snapshot.position)  # the stamps were read before
        vectors = self._comparer.checked_vectors([stamp for _, held in rows for stamp in held])
        return _Page(rows, snapshot, head, vectors)

    def _compare(self, page: _Page, began: Head) -> None:
        """Count what agrees, and keep the rest for a second look."""
        rows, head = page.rows, page.head
        self._report.total_entities += sum(row.key.kind is KeyKind.ENTITY for row, _ in rows if row)
        self._report.rows.add(index=sum(len(held) for _, held in rows))
        targets = self._comparer.rendered(page.snapshot)
        vectors = iter(page.vectors)
        terms: list[tuple[str, tuple[str, int]]] = []
        matched: list[tuple[str, int]] = []
        for row, held in rows:
            checked = list(islice(vectors, len(held)))
            key = row.key if row else held[0].key
            wanted = targets.get(key)
            term = None
            if wanted is not None:
                term = _wanted_term(key, wanted)
                terms.append((key.encode(), (_type_of(wanted), term)))
            if isinstance(wanted, Target) and self._matches(wanted, term, held, checked, began, head):
                matched.append((wanted.entity_type, term or 0))
            elif wanted is not None or held:  # else no view covers it, and nothing is there
                self._suspects.append(key)
        for name, digest in digests_by_type(matched).items():
            agree(self._report, name, digest)
        if self._builder is not None:
            self._builder.add(terms)
        if rows:
            last, held_last = rows[-1]
            through = (last.key if last else held_last[0].key).encode()
            stamps = [stamp for _, held in rows for stamp in held]
            self._look_at_kept(through, stamps, [damaged for _, damaged in page.vectors])

    def _matches(
        self,
        wanted: Target,
        term: int | None,
        held: Sequence[Stamp],
        checked: Sequence[tuple[Vector | None, bool]],
        began: Head,
        head: Head,
    ) -> bool:
        if len(held) != 1:
            return False
        (stamp,), ((vector, damaged),) = held, checked
        if not began.knows(stamp) or not head.reaches(stamp):
            return False
        # Of those that are alike, as nearly all are, one term says all; else the terms decide.
        if damaged or not (is_as_asked(stamp, wanted) or stamp_term(stamp) == term):
            return False
        if self._drift is not None and vector is not None:
            self._drift.offer(wanted, stamp, vector)
        return True

    def _decide(self) -> None:
        enter(self._report, self._comparer.decide(self._suspects))
        self._suspects.clear()
        if self._drift is not None:
            self._drift.enter(self._report)


def agree(report: AuditReport, entity_type: str, digest: Digest) -> None:
    """Enter records that are on both sides what they should be."""
    row = report.of_type(entity_type)
    row.expected += digest.records
    row.found += digest.records
    row.fresh += digest.records
    row.graph = row.graph.plus(digest)
    row.index = row.index.plus(digest)
    report.total_embeddings += digest.records


def _wanted_term(key: RecordKey, wanted: Target | PoisonEventError) -> int:
    return target_term(wanted) if isinstance(wanted, Target) else unrenderable_term(key.encode())


def _type_of(wanted: Target | PoisonEventError) -> str:
    return wanted.entity_type if isinstance(wanted, Target) else ""


def terms_of(
    keys: Iterable[RecordKey], targets: dict[RecordKey, Target | PoisonEventError]
) -> dict[str, tuple[str, int] | None]:
    """Return what the ledger keeps of keys: None for those that the graph asks nothing of."""
    return {
        key.encode(): None if (wanted := targets.get(key)) is None else (_type_of(wanted), _wanted_term(key, wanted))
        for key in keys
    }
