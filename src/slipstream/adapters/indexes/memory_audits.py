"""The audit's memory in dictionaries."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from slipstream.domain.audits import Finding, KeptAudit, Leaf, LeafHead
from slipstream.domain.digests import Digest, merged_by_type
from slipstream.ports.audits import Seal


class MemoryAudits:
    """
    A `LeafStore` and `AuditLog`. Nothing survives the process.

    What is kept is replaced, never changed, so that a reader beside a writer sees whole steps only.
    """

    def __init__(self) -> None:
        self._leaves: dict[str, Leaf] = {}
        self._audits: dict[int, tuple[str, list[Finding]]] = {}
        self._last_id = 0

    def heads(self) -> Sequence[LeafHead]:
        """Return the digests of all leaves."""
        return [leaf.head() for _, leaf in sorted(self._leaves.items())]

    def leaves(self, afters: Sequence[str]) -> Sequence[Leaf]:
        """Return whole leaves."""
        held = self._leaves
        found = [held[after] for after in sorted(set(afters)) if after in held]
        return [Leaf(leaf.after, dict(leaf.terms)) for leaf in found]

    def holding(self, keys: Sequence[str]) -> Sequence[Leaf]:
        """Return the leaves whose ranges hold the keys."""
        afters = sorted(self._leaves)
        places = {bisect_left(afters, key) - 1 for key in keys}
        return self.leaves([afters[place] for place in places if place >= 0])

    def total(self) -> Mapping[str, Digest]:
        """Return the sum of all heads."""
        return merged_by_type(head.by_type for head in self.heads())

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Remove and add leaves."""
        added = {leaf.after: Leaf(leaf.after, dict(leaf.terms)) for leaf in leaves}
        gone = set(remove)
        self._leaves = {after: leaf for after, leaf in self._leaves.items() if after not in gone} | added

    def clear_leaves(self) -> None:
        """Forget all leaves."""
        self._leaves = {}

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], seal: Seal | None = None) -> int:
        """Keep an audit; its report goes through JSON, as it would on disk."""
        audit_id = self._last_id + 1
        found = {finding[:2]: finding for finding in findings}
        numbered = {**report, "id": audit_id}
        kept = (json.dumps(numbered if seal is None else seal(numbered)), sorted(found.values()))
        self._last_id, self._audits = audit_id, {**self._audits, audit_id: kept}
        return audit_id

    def forget(self, ids: Collection[int]) -> None:
        """Forget audits with all they found."""
        gone = set(ids)
        self._audits = {number: kept for number, kept in self._audits.items() if number not in gone}

    def audits(self, before: int | None, limit: int) -> Sequence[KeptAudit]:
        """Return audits, newest first."""
        held = self._audits
        ids = [i for i in sorted(held, reverse=True) if before is None or i < before]
        return [KeptAudit(i, json.loads(held[i][0])) for i in ids[:limit]]

    def audit(self, audit_id: int) -> KeptAudit | None:
        """Return one audit."""
        found = self._audits.get(audit_id)
        return None if found is None else KeptAudit(audit_id, json.loads(found[0]))

    def findings(
        self, audit_id: int, after: Finding | None, limit: int, kind: str | None = None
    ) -> Sequence[Finding]:
        """Return divergent keys in order."""
        _, kept = self._audits.get(audit_id, ("", []))
        return [f for f in kept if (after is None or f[:2] > after[:2]) and kind in (None, f.kind)][:limit]
