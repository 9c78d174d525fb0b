"""
The graph's side of the digest tree: what every key should be, kept in leaves and brought up to date by changes.

It is derived, never an authority: every suspect it points at is read from both stores again, and a full audit, which
does not ask it, builds it anew on its own schedule. Position and recipe of the last audit are kept with it; a graph
that was changed past its log, other views or another model make it void.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from slipstream.audit.pacing import batched
from slipstream.domain.audits import Leaf, LeafHead, Terms
from slipstream.domain.digests import Digest
from slipstream.domain.positions import Position
from slipstream.ports.audits import LeafStore
from slipstream.ports.journal import Journal

LEAVES_MARK = "audit_ledger"
"""The name of the mark in the journal."""
LEAF_SIZE = 16
"""A change rewrites one leaf; with smaller ones there are more to add up."""
_LEAF_SIZE_MAX = 2 * LEAF_SIZE
_LEAVES_AT_ONCE = 256
_CHANGES_AT_ONCE = 256
_FIRST = ""
"""Behind this key the first leaf begins, however the keys are cut."""


@dataclass(frozen=True, slots=True)
class LeavesMark:
    """As of which position the leaves say what the graph asks for, by which recipe."""

    position: Position
    recipe: str


class Leaves:
    """The leaves, kept in a store. Dying anywhere leaves it whole, or without a mark, which a full audit mends."""

    def __init__(self, store: LeafStore, journal: Journal) -> None:
        self._store, self._journal = store, journal

    def mark(self) -> LeavesMark | None:
        """Return how far the leaves are, None when they are void or lost."""
        text = self._journal.get(LEAVES_MARK)
        if text is None or not self._store.leaves([_FIRST]):
            return None
        found = json.loads(text)
        return LeavesMark(Position(found["position"]), found["recipe"])

    def heads(self) -> Sequence[LeafHead]:
        """Return the digests of all leaves."""
        return self._store.heads()

    def terms(self, afters: Sequence[str]) -> dict[str, Terms]:
        """Return the keys of some leaves, by the leaf's `after`."""
        return {leaf.after: leaf.terms for leaf in self._store.leaves(afters)}

    def void(self) -> None:
        """Say that the leaves mean nothing any more."""
        self._journal.set(LEAVES_MARK, None)

    def confirm(self, mark: LeavesMark) -> None:
        """Say that the leaves hold as of a position."""
        self._journal.set(LEAVES_MARK, json.dumps({"position": mark.position, "recipe": mark.recipe}))

    def update(self, changes: Mapping[str, tuple[str, int] | None], mark: LeavesMark) -> int:
        """Enter changed keys (None: nothing is asked for any more), then move the mark; returns leaves rewritten."""
        touched = 0
        *first, last = list(batched(sorted(changes), _CHANGES_AT_ONCE)) or [[]]
        for page in first:
            # Leaves that are ahead of the mark are harmless: the same changes are entered again.
            touched += self._enter(page, changes)
        with self._journal.transaction():
            touched += self._enter(last, changes)
            self.confirm(mark)
        return touched

    def _enter(self, keys: Sequence[str], changes: Mapping[str, tuple[str, int] | None]) -> int:
        leaves = self._store.holding(keys) if keys else ()
        afters = [leaf.after for leaf in leaves]
        by_leaf: dict[str, dict[str, tuple[str, int] | None]] = {}
        for key in keys:
            by_leaf.setdefault(afters[bisect_left(afters, key) - 1], {})[key] = changes[key]
        if leaves:
            self._store.put_leaves([piece for leaf in leaves for piece in _changed(leaf, by_leaf[leaf.after])])
        return len(leaves)

    def total(self) -> Mapping[str, Digest]:
        """Return what the graph asks for, by type."""
        return self._store.total()


def _changed(leaf: Leaf, changes: Mapping[str, tuple[str, int] | None]) -> list[Leaf]:
    """Return the leaf with the changes, cut in pieces when it has grown too large."""
    terms = dict(leaf.terms)
    for key, term in changes.items():
        if term is None:
            terms.pop(key, None)
        else:
            terms[key] = term
    if len(terms) <= _LEAF_SIZE_MAX:
        return [Leaf(leaf.after, terms)]
    pieces: list[Leaf] = []
    after, keys = leaf.after, sorted(terms)
    for start in range(0, len(keys), LEAF_SIZE):
        page = keys[start : start + LEAF_SIZE]
        pieces.append(Leaf(after, {key: terms[key] for key in page}))
        after = page[-1]
    return pieces


class LeavesBuilder:
    """Builds all leaves anew from terms that come in key order. The old ones are void from the first call on."""

    def __init__(self, leaves: Leaves, store: LeafStore) -> None:
        self._leaves, self._store = leaves, store
        self._after = _FIRST
        self._terms: Terms = {}
        self._full: list[Leaf] = []
        leaves.void()
        store.clear_leaves()

    def add(self, terms: Iterable[tuple[str, tuple[str, int]]]) -> None:
        """Add keys, in order."""
        for key, term in terms:
            self._terms[key] = term
            if len(self._terms) == LEAF_SIZE:
                self._full.append(Leaf(self._after, self._terms))
                self._after, self._terms = key, {}
        if len(self._full) >= _LEAVES_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._store.put_leaves(self._full)
        self._full = []

    def finish(self, mark: LeavesMark) -> None:
        """Store what is left and declare the leaves valid."""
        self._full.append(Leaf(self._after, self._terms))
        self._flush()
        self._leaves.confirm(mark)
