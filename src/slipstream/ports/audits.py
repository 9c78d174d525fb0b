"""The audit's durable memory: the graph's side of the digest tree, and the evidence of past audits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from slipstream.domain.audits import Finding, KeptAudit, Leaf, LeafHead
from slipstream.domain.digests import Digest

Seal = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Returns what is kept of a report that has its number: it, with a signature say."""


@runtime_checkable
class LeafStore(Protocol):
    """
    Leaves of the digest tree, keyed by `after`. Derived from the graph: losing them costs one full audit.

    Every call is a durable, atomic step (or joins the journal's transaction, where the two share a store), harmless
    when it is repeated. Raises `UnavailableError` when the store is down.
    """

    def heads(self) -> Sequence[LeafHead]:
        """Return the digests of all leaves, ordered by `after`."""
        ...

    def leaves(self, afters: Sequence[str]) -> Sequence[Leaf]:
        """Return whole leaves ordered by `after`; unknown ones are left out."""
        ...

    def holding(self, keys: Sequence[str]) -> Sequence[Leaf]:
        """Return the whole leaves that some keys fall into, ordered by `after`; none where there are no leaves."""
        ...

    def total(self) -> Mapping[str, Digest]:
        """Return the sum of all heads, by type."""
        ...

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Remove leaves, then add or replace others, in one step."""
        ...

    def clear_leaves(self) -> None:
        """Forget all leaves."""
        ...


@runtime_checkable
class AuditLog(Protocol):
    """
    Finished audits, numbered in the order in which they were kept.

    Raises `UnavailableError` when the store is down; what was kept before stays whole.
    """

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], seal: Seal | None = None) -> int:
        """
        Keep an audit and all its findings; returns its id.

        What is kept is the report with its `id`, or what `seal` makes of that. Readers see it whole or not at all; it
        may be written in pieces, so that no other writer waits for all of it.
        """
        ...

    def forget(self, ids: Collection[int]) -> None:
        """Forget audits and their findings; a reader sees each whole or not at all."""
        ...

    def audits(self, before: int | None, limit: int) -> Sequence[KeptAudit]:
        """Return up to `limit` audits, newest first, of those with ids below `before` (None: of all)."""
        ...

    def audit(self, audit_id: int) -> KeptAudit | None:
        """Return one audit, None when it is not (or no longer) kept."""
        ...

    def findings(
        self, audit_id: int, after: Finding | None, limit: int, kind: str | None = None
    ) -> Sequence[Finding]:
        """Return divergent keys ordered by (kind, key), behind `after`; of one kind when it is given."""
        ...


@runtime_checkable
class AuditStore(LeafStore, AuditLog, Protocol):
    """Both in one store, with the errors of both."""
