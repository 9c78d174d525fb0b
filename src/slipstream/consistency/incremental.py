"""
The incremental audit: brings the graph's side of the digest tree up to date, and descends where the index differs.

What changed since the last audit is taken from the change log; the index's side is asked for digests of ranges. Both
only say where to look: whatever differs is read from the stores themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from slipstream.consistency.comparing import Comparer, count
from slipstream.consistency.full import Progress, agree, batched, terms_of
from slipstream.consistency.ledger import Ledger, LedgerMark
from slipstream.consistency.report import AuditReport
from slipstream.consistency.scanned import digests_of
from slipstream.consistency.tree import DigestTree, Node, descend
from slipstream.domain.audits import Terms
from slipstream.domain.digests import Digest, KeyRange, stamp_term
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.ports.digests import RangeDigests
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import scan_range

Changes = Callable[[Position, Position], Iterable[RecordKey] | None]
"""Keys that commits behind a position and up to another one affect; None when that can not be told any more."""

_LEAVES_AT_ONCE = 16
_CHANGES_MAX = 50_000
"""With more changes than this a full audit is the cheaper one."""


class IncrementalAudit:
    """One descent."""

    def __init__(
        self, graph: Graph, index: VectorIndex, comparer: Comparer, report: AuditReport, ledger: Ledger
    ) -> None:
        self._graph, self._index = graph, index
        self._comparer, self._report, self._ledger = comparer, report, ledger

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

    def run(self, *, gently: bool, on_progress: Progress | None) -> None:
        """Descend, and compare the leaves that differ key by key."""
        schema = self._graph.schema()
        tree = DigestTree(self._ledger.heads())
        digests = digests_of(self._index, self._comparer.damaged)
        if gently and isinstance(self._index, RangeDigests):
            self._warm_up(tree, digests, on_progress)
        found = descend(tree, digests, schema.version)
        self._report.rows.queries += found.queries
        counts = self._graph.counts()
        self._report.total_entities = sum(counts.get(name, 0) for name in schema.entity_types)
        for _, held in found.equal:
            for name, digest in held.by_type.items():
                if digest.records:
                    agree(self._report, name, digest)
        compared = 0
        for nodes in batched(found.differing, _LEAVES_AT_ONCE):
            compared += self._compare(tree, nodes, schema.version)
            if on_progress is not None:
                on_progress(compared)

    def _warm_up(self, tree: DigestTree, digests: RangeDigests, on_progress: Progress | None) -> None:
        """Have an index that keeps its digests compute the void ones a few at a time, not all at once."""
        done = 0
        for first in range(0, len(tree.heads), _LEAVES_AT_ONCE):
            node = Node(first, min(first + _LEAVES_AT_ONCE, len(tree.heads)))
            digests.digests([tree.range_of(node)])
            done += tree.digest_of(node).total.records
            if on_progress is not None:
                on_progress(done)

    def _compare(self, tree: DigestTree, nodes: Sequence[Node], schema_version: int) -> int:
        leaves = self._ledger.terms([tree.range_of(node).after for node in nodes])
        suspects: list[RecordKey] = []
        for node in nodes:
            bounds = tree.range_of(node)
            suspects += self._differing(bounds, leaves.get(bounds.after, {}), schema_version)
        outcome = self._comparer.decide(suspects)
        for compared in outcome.decided:
            count(self._report, compared)
        self._report.unsettled += len(outcome.unsettled)
        return sum(len(leaf) for leaf in leaves.values())

    def _differing(self, bounds: KeyRange, wanted: Terms, schema_version: int) -> list[RecordKey]:
        """Count what agrees within a leaf, and return the rest."""
        held: dict[str, list[int]] = {}
        for stamps in scan_range(self._index, bounds):
            self._report.rows.index += len(stamps)
            for stamp, damaged in zip(stamps, self._comparer.damaged(stamps), strict=True):
                # An older schema version is a divergence that no term shows.
                bad = damaged or stamp.schema_version < schema_version
                held.setdefault(stamp.key.encode(), []).append(stamp_term(stamp, damaged=bad))
        suspects: list[RecordKey] = []
        for key in sorted(held.keys() | wanted.keys()):
            name, term = wanted.get(key, ("", None))
            if term is not None and held.get(key) == [term]:
                agree(self._report, name, Digest(1, term))
            else:
                suspects.append(RecordKey.decode(key))
        return suspects
