"""
The incremental audit: brings the graph's side of the digest tree up to date, and descends where the index differs.

What changed since the last audit is taken from the change log; the index's side is asked for digests of ranges. Both
only say where to look: whatever differs is read from the stores themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from slipstream.consistency.comparing import Comparer, count
from slipstream.consistency.full import Progress, agree, batched, terms_of
from slipstream.consistency.ledger import Ledger, LedgerMark
from slipstream.consistency.report import AuditReport
from slipstream.consistency.scanned import digests_of
from slipstream.consistency.tree import DigestTree, Node, descend
from slipstream.domain.digests import Digest, KeyRange, stamp_term
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.ports.digests import RangeDigests
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import PAGE, scan_range

Changes = Callable[[Position, Position], Iterable[RecordKey] | None]
"""Keys that commits behind a position and up to another one affect; None when that can not be told any more."""

_SUSPECTS_AT_ONCE = 500
_CHANGES_MAX = 50_000
"""With more changes than this a full audit is the cheaper one."""


class IncrementalAudit:
    """One descent."""

    def __init__(
        self, graph: Graph, index: VectorIndex, comparer: Comparer, report: AuditReport, ledger: Ledger
    ) -> None:
        self._graph, self._index = graph, index
        self._comparer, self._report, self._ledger = comparer, report, ledger
        self._suspects: list[RecordKey] = []

    def catch_up(self, changes: Changes, recipe: str, page: int, on_progress: Progress | None) -> str | None:
        """Bring the leaves up to the report's position; returns why that can not be done, None when it was."""
        mark = self._ledger.mark()
        if mark is None:
            return "there is no digest tree yet"
        if mark.recipe != recipe:
            return "views or models have changed"
        changed = changes(mark.position, self._report.position)
        if changed is None:
            return "the log does not tell what has changed since the last audit"
        terms: dict[str, tuple[str, int] | None] = {}
        for keys in batched(changed, page):
            _, targets = self._comparer.targets(keys)
            terms.update(terms_of(keys, targets))
            if on_progress is not None:
                on_progress(len(terms))
            if len(terms) > _CHANGES_MAX:
                return "too much has changed since the last audit"
        self._ledger.update(terms, LedgerMark(self._report.position, recipe))
        return None

    def run(self, page: int, on_progress: Progress | None) -> None:
        """Descend, and compare the leaves that differ key by key."""
        schema = self._graph.schema()
        tree = DigestTree(self._ledger.heads())
        digests = digests_of(self._index, self._comparer.damaged, self._report.rows)
        if page < PAGE and isinstance(self._index, RangeDigests):
            self._warm_up(tree, digests, on_progress)
        found = descend(tree, digests, schema.version, self._comparer.head)
        self._report.rows.add(queries=found.queries)
        counts = self._graph.counts()
        self._report.total_entities = sum(counts.get(name, 0) for name in schema.entity_types)
        for _, held in found.equal:
            for name, digest in held.by_type.items():
                if digest.records:
                    agree(self._report, name, digest)
        compared = 0
        for node in found.differing:
            compared += self._compare(tree.range_of(node), schema.version, page, on_progress)
            if on_progress is not None:
                on_progress(compared)
        self._decide()

    def _warm_up(self, tree: DigestTree, digests: RangeDigests, on_progress: Progress | None) -> None:
        """Have an index that keeps its digests compute the void ones leaf by leaf, not all at once."""
        for place in range(len(tree.heads)):
            digests.digests([tree.range_of(Node(place, place + 1))])
            if on_progress is not None:
                on_progress(0)

    def _compare(self, bounds: KeyRange, schema_version: int, page: int, on_progress: Progress | None) -> int:
        """Count what agrees within a leaf, and keep the rest for a second look."""
        wanted = self._ledger.terms([bounds.after]).get(bounds.after, {})
        held: dict[str, list[int]] = {}
        for stamps in scan_range(self._index, bounds, page):
            self._report.rows.add(index=len(stamps))
            head = self._comparer.head()
            for stamp, damaged in zip(stamps, self._comparer.damaged(stamps), strict=True):
                # Schema version and position are divergences that no term shows.
                bad = damaged or stamp.schema_version < schema_version or not head.reaches(stamp)
                held.setdefault(stamp.key.encode(), []).append(stamp_term(stamp, damaged=bad))
            if on_progress is not None:
                on_progress(0)
        for key in sorted(held.keys() | wanted.keys()):
            name, term = wanted.get(key, ("", None))
            if term is not None and held.get(key) == [term]:
                agree(self._report, name, Digest(1, term))
            else:
                self._suspects.append(RecordKey.decode(key))
        if len(self._suspects) >= _SUSPECTS_AT_ONCE:
            self._decide()
        return len(held)

    def _decide(self) -> None:
        outcome = self._comparer.decide(self._suspects)
        self._suspects.clear()
        for compared in outcome.decided:
            count(self._report, compared)
        self._report.unsettled += len(outcome.unsettled)
