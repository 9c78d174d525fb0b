"""The audit's memory in dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slipstream.domain.audits import Finding, KeptAudit, Leaf, LeafHead


class MemoryAudits:
    """A `LeafStore` and `AuditLog`. Nothing survives the process."""

    def __init__(self) -> None:
        self._leaves: dict[str, Leaf] = {}
        self._audits: dict[int, tuple[str, list[Finding]]] = {}
        self._last_id = 0

    def heads(self) -> Sequence[LeafHead]:
        """Return the digests of all leaves."""
        return [self._leaves[after].head() for after in sorted(self._leaves)]

    def leaves(self, afters: Sequence[str]) -> Sequence[Leaf]:
        """Return whole leaves."""
        found = [self._leaves[after] for after in sorted(set(afters)) if after in self._leaves]
        return [Leaf(leaf.after, dict(leaf.terms)) for leaf in found]

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Remove and add leaves."""
        added = {leaf.after: Leaf(leaf.after, dict(leaf.terms)) for leaf in leaves}  # all of them, or nothing happens
        for after in remove:
            self._leaves.pop(after, None)
        self._leaves.update(added)

    def clear_leaves(self) -> None:
        """Forget all leaves."""
        self._leaves.clear()

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], *, audits_max: int) -> int:
        """Keep an audit; its report goes through JSON, as it would on disk."""
        self._last_id += 1
        self._audits[self._last_id] = (json.dumps({**report, "id": self._last_id}), sorted(set(findings)))
        for old in sorted(self._audits)[: max(0, len(self._audits) - audits_max)]:
            del self._audits[old]
        return self._last_id

    def audits(self, before: int | None, limit: int) -> Sequence[KeptAudit]:
        """Return audits, newest first."""
        ids = [i for i in sorted(self._audits, reverse=True) if before is None or i < before]
        return [KeptAudit(i, json.loads(self._audits[i][0])) for i in ids[:limit]]

    def audit(self, audit_id: int) -> KeptAudit | None:
        """Return one audit."""
        found = self._audits.get(audit_id)
        return None if found is None else KeptAudit(audit_id, json.loads(found[0]))

    def findings(
        self, audit_id: int, after: Finding | None, limit: int, kind: str | None = None
    ) -> Sequence[Finding]:
        """Return divergent keys in order."""
        _, kept = self._audits.get(audit_id, ("", []))
        return [f for f in kept if (after is None or f > after) and kind in (None, f.kind)][:limit]
