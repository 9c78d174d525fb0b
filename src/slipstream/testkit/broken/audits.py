"""Audit memories that are wrong on purpose, each in one way: the suite must fail every one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.domain.audits import Finding, KeptAudit, Leaf, LeafHead
from slipstream.ports.audits import Seal


class PutsLeavesOneByOne(MemoryAudits):
    """Applies a step one leaf at a time, so that a crash leaves half of it."""

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Remove, then add one at a time."""
        super().put_leaves([], remove=remove)
        for leaf in leaves:
            super().put_leaves([leaf])


class RemovesAfterAdding(MemoryAudits):
    """Removes what it has just added."""

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Add, then remove."""
        super().put_leaves(leaves)
        super().put_leaves([], remove=remove)


class MergesLeaves(MemoryAudits):
    """Keeps the old keys of a leaf that is replaced."""

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Add the keys to those that are there."""
        held = {leaf.after: leaf.terms for leaf in self.leaves([head.after for head in self.heads()])}
        super().put_leaves([Leaf(x.after, held.get(x.after, {}) | x.terms) for x in leaves], remove=remove)


class KeepsOldHeads(MemoryAudits):
    """Keeps the digest that a leaf had at first."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, LeafHead] = {}

    def heads(self) -> Sequence[LeafHead]:
        """Answer from memory."""
        return [self._seen.setdefault(head.after, head) for head in super().heads()]


class HoldsWhereARangeBegins(MemoryAudits):
    """Looks for a key in the leaf that begins with it, not behind it."""

    def holding(self, keys: Sequence[str]) -> Sequence[Leaf]:
        """Take the leaf of the next key."""
        return super().holding([f"{key}\0" for key in keys])


class CutsTerms(MemoryAudits):
    """Keeps terms in 64 bits."""

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Cut."""
        cut = [
            Leaf(leaf.after, {key: (name, term & (2**64 - 1)) for key, (name, term) in leaf.terms.items()})
            for leaf in leaves
        ]
        super().put_leaves(cut, remove=remove)


class DropsEmptyLeaves(MemoryAudits):
    """Does not keep a leaf without keys, so that no leaf covers its range."""

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Leave them out."""
        super().put_leaves([leaf for leaf in leaves if leaf.terms], remove=remove)


class ClearsEverything(MemoryAudits):
    """Forgets the evidence with the leaves."""

    def clear_leaves(self) -> None:
        """Forget all."""
        super().clear_leaves()
        self.forget([kept.id for kept in self.audits(None, 10**9)])


class TruncatesFindings(MemoryAudits):
    """Keeps the first thousand."""

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], seal: Seal | None = None) -> int:
        """Cut."""
        return super().keep(report, sorted(findings)[:1_000], seal)


class CountsFindingsTwice(MemoryAudits):
    """Keeps a finding as often as it is given."""

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], seal: Seal | None = None) -> int:
        """Put them in as they are."""
        given = sorted(findings)
        kept = super().keep(report, given, seal)
        if kept in self._audits:
            self._audits[kept] = (self._audits[kept][0], given)
        return kept


class IgnoresSeals(MemoryAudits):
    """Keeps the report as it was before it was sealed."""

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], seal: Seal | None = None) -> int:
        """Keep it plain."""
        del seal
        return super().keep(report, findings)


class ResumesByKey(MemoryAudits):
    """Forgets that findings are ordered by class first."""

    def findings(
        self, audit_id: int, after: Finding | None, limit: int, kind: str | None = None
    ) -> Sequence[Finding]:
        """Go on behind the key, whatever its class."""
        found = super().findings(audit_id, None, 10**9, kind)
        return [f for f in found if after is None or f.key > after.key][:limit]


class KeepsInTwoSteps(MemoryAudits):
    """Keeps the audit first, and its findings in a second step."""

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], seal: Seal | None = None) -> int:
        """Die in between, when something dies."""
        kept = super().keep(report, [], seal)
        given = sorted(set(findings))
        if kept in self._audits:
            self._audits[kept] = (self._audits[kept][0], given)
        return kept


class ReusesNumbers(MemoryAudits):
    """Numbers an audit by the count of kept ones, so that ids come again."""

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], seal: Seal | None = None) -> int:
        """Start behind the newest."""
        self._last_id = max(self._audits, default=0)
        return super().keep(report, findings, seal)


class NeverForgets(MemoryAudits):
    """Keeps every audit."""

    def forget(self, ids: Collection[int]) -> None:
        """Forget nothing."""


class ListsOldestFirst(MemoryAudits):
    """Pages from the wrong end."""

    def audits(self, before: int | None, limit: int) -> Sequence[KeptAudit]:
        """Turn them around."""
        return super().audits(before, 10**9)[::-1][:limit]


class SharesItsLeaves(MemoryAudits):
    """Hands out its own dictionaries."""

    def leaves(self, afters: Sequence[str]) -> Sequence[Leaf]:
        """Copy nothing."""
        return [self._leaves[after] for after in sorted(set(afters)) if after in self._leaves]


BROKEN_AUDITS: Mapping[type[MemoryAudits], str] = {
    PutsLeavesOneByOne: "test_leaves_are_put_in_one_step",
    RemovesAfterAdding: "test_leaves_are_removed_before_others_are_added",
    MergesLeaves: "test_a_leaf_is_replaced_whole",
    KeepsOldHeads: "test_a_leaf_is_replaced_whole",
    CutsTerms: "test_leaves_come_back_whole_and_in_order",
    HoldsWhereARangeBegins: "test_keys_are_held_by_the_leaf_whose_range_they_fall_into",
    DropsEmptyLeaves: "test_leaves_come_back_whole_and_in_order",
    ClearsEverything: "test_clearing_leaves_the_audits",
    TruncatesFindings: "test_every_finding_is_kept_once_and_in_order",
    IgnoresSeals: "test_an_audit_is_sealed_with_its_number",
    CountsFindingsTwice: "test_every_finding_is_kept_once_and_in_order",
    ResumesByKey: "test_findings_go_on_behind_any_of_them",
    KeepsInTwoSteps: "test_an_audit_is_kept_in_one_step",
    ReusesNumbers: "test_numbers_are_never_given_out_again",
    NeverForgets: "test_audits_are_forgotten_with_their_findings",
    ListsOldestFirst: "test_audits_are_paged_newest_first",
    SharesItsLeaves: "test_nothing_is_shared_with_the_caller",
}
"""Each broken audit memory, and the case that was written for its fault."""
