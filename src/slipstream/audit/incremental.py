"""
The incremental audit: brings the graph's side of the digest tree up to date, and descends where the index differs.

What changed since the last audit is taken from the change log; the index's side is asked for digests of ranges. Both
only say where to look: whatever differs is read from the stores themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from slipstream.audit.classes import Head
from slipstream.audit.comparing import Comparer, enter
from slipstream.audit.findings import AuditReport
from slipstream.audit.full import Progress, agree, terms_of
from slipstream.audit.leaves import Leaves, LeavesMark
from slipstream.audit.pacing import Pace, paced
from slipstream.audit.scanned import scanned
from slipstream.audit.tree import DigestTree, Node, agrees, descend
from slipstream.domain.digests import Digest, KeyRange, RangeDigest, stamp_term
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.ports.digests import RangeDigests
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import PAGE, scan_range

Changes = Callable[[Position, Position], Iterable[RecordKey] | None]
"""Keys that commits behind a position and up to another one affect; None when that can not be told any more."""

_SUSPECTS_AT_ONCE = 500
_CHANGES_MAX = 50_000
"""With more changes than this a full audit is the cheaper one."""


class IncrementalAudit:
    """One incremental audit: `catch_up` with the log first, then `run`."""

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        comparer: Comparer,
        report: AuditReport,
        leaves: Leaves,
        pace: Pace,
        on_progress: Progress | None = None,
    ) -> None:
        self._graph, self._index = graph, index
        self._comparer, self._report, self._leaves = comparer, report, leaves
        self._pace, self._on_progress = pace, on_progress
        self._suspects: list[RecordKey] = []

    def catch_up(self, changes: Changes, recipe: str) -> str | None:
        """Bring the leaves up to the report's position; returns why that can not be done, None when it was."""
        mark = self._leaves.mark()
        if mark is None:
            return "there is no digest tree yet"
        if mark.recipe != recipe:
            return "views or models have changed"
        changed = changes(mark.position, self._report.position)
        if changed is None:
            return "the log does not tell what has changed since the last audit"
        terms: dict[str, tuple[str, int] | None] = {}
        for keys in paced(changed, self._pace):
            terms.update(terms_of(keys, self._comparer.targets(keys)))
            self._paused(len(terms))
            if len(terms) > _CHANGES_MAX:
                return "too much has changed since the last audit"
        self._leaves.update(terms, LeavesMark(self._report.position, recipe))
        return None

    def run(self) -> None:
        """Descend, and compare the leaves that differ key by key."""
        began = self._comparer.head()
        counts = self._graph.counts(())
        self._report.total_entities = sum(counts.get(name, 0) for name in self._graph.schema().entity_types)
        if not self._agrees_as_a_whole(began):
            self._descend(began)

    def _agrees_as_a_whole(self, began: Head) -> bool:
        """Compare two sums: most audits find no difference, and then need no tree."""
        if not isinstance(self._index, RangeDigests) or self._pace.page < PAGE:
            return False
        (held,) = self._index.digests([KeyRange()])
        self._report.rows.add(queries=1)
        if not (self._comparer.head().covers(held) and agrees(self._leaves.total(), held, began.schema_version)):
            return False
        self._enter(held)
        return True

    def _enter(self, held: RangeDigest) -> None:
        for name, digest in held.by_type.items():
            if digest.records:
                agree(self._report, name, digest)

    def _descend(self, began: Head) -> None:
        tree = DigestTree(self._leaves.heads())
        found = descend(tree, self._digests(tree), began.schema_version, self._comparer.head)
        self._report.rows.add(queries=found.queries)
        for _, held in found.equal:
            self._enter(held)
        compared = 0
        for node in found.differing:
            compared += self._compare(tree.range_of(node), began)
            self._paused(compared)
        self._decide()

    def _paused(self, compared: int = 0) -> None:
        self._pace.rest()
        if self._on_progress is not None:
            self._on_progress(compared)

    def _digests(self, tree: DigestTree) -> RangeDigests:
        """Return the index's side: its own digests where it keeps some, else what one pass over it gives."""
        if not isinstance(self._index, RangeDigests):
            return scanned(tree, self._index, self._comparer.damaged, self._report.rows, self._pace, self._paused)
        if self._pace.page < PAGE:
            # Have it compute those that are void leaf by leaf, not all at once.
            for place in range(len(tree.heads)):
                self._index.digests([tree.range_of(Node(place, place + 1))])
                self._paused()
        return self._index

    def _compare(self, bounds: KeyRange, began: Head) -> int:
        """Count what agrees within a leaf, and keep the rest for a second look."""
        wanted = self._leaves.terms([bounds.after]).get(bounds.after, {})
        held: dict[str, list[int]] = {}
        for stamps in scan_range(self._index, bounds, lambda: self._pace.page):
            self._report.rows.add(index=len(stamps))
            head = self._comparer.head()
            for stamp, damaged in zip(stamps, self._comparer.damaged(stamps), strict=True):
                # Schema and position are divergences that no term shows.
                bad = damaged or not began.knows(stamp.schema_version, stamp.schema_hash) or not head.reaches(stamp)
                held.setdefault(stamp.key.encode(), []).append(stamp_term(stamp, damaged=bad))
            self._paused()
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
        enter(self._report, self._comparer.decide(self._suspects))
        self._suspects.clear()
