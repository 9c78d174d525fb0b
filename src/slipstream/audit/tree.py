"""
The digest tree: descends from the whole to the ranges where two sides differ.

The graph's leaves are ranges of about 16 keys; the levels above them are sums, computed when they are asked for.
Both sides are asked for the same ranges, widest first, and only ranges that differ are cut further: range-based set
reconciliation, with the leaf's own keys at the bottom.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from slipstream.audit.classes import Head
from slipstream.domain.audits import LeafHead
from slipstream.domain.digests import Digest, KeyRange, RangeDigest, merged_by_type
from slipstream.ports.digests import RangeDigests

FAN_OUT = 16


@dataclass(frozen=True, slots=True)
class Node:
    """Some leaves next to each other: `first` to `last`, exclusive, and what the graph asks for in them."""

    first: int
    last: int

    @property
    def is_leaf(self) -> bool:
        """Whether it can not be cut further."""
        return self.last - self.first == 1


class DigestTree:
    """The graph's side as a tree over its leaves, which cover all keys without a gap."""

    def __init__(self, heads: Sequence[LeafHead]) -> None:
        self.heads = heads
        self._afters = [head.after for head in heads]

    def range_of(self, node: Node) -> KeyRange:
        """Return the keys of a node."""
        through = self._afters[node.last] if node.last < len(self._afters) else None
        return KeyRange(self._afters[node.first], through)

    def digest_of(self, node: Node) -> RangeDigest:
        """Return what the graph asks for in a node."""
        return RangeDigest(merged_by_type(head.by_type for head in self.heads[node.first : node.last]))

    def leaf_of(self, key: str) -> int:
        """Return the place of the leaf that a key falls into."""
        return max(0, bisect_left(self._afters, key) - 1)

    def root(self) -> Node | None:
        """Return the node of everything, None for a tree without leaves."""
        return Node(0, len(self.heads)) if self.heads else None

    @staticmethod
    def children(node: Node) -> list[Node]:
        """Cut a node into at most `FAN_OUT` pieces of nearly equal size."""
        size = node.last - node.first
        pieces = min(FAN_OUT, size)
        cuts = [node.first + size * piece // pieces for piece in range(pieces + 1)]
        return [Node(first, last) for first, last in pairwise(cuts)]


@dataclass(slots=True)
class Descent:
    """What a descent found: nodes that agree, with the index's digest, and leaves that do not."""

    equal: list[tuple[Node, RangeDigest]]
    differing: list[Node]
    queries: int = 0


def descend(tree: DigestTree, index: RangeDigests, schema_version: int, head: Callable[[], Head]) -> Descent:
    """
    Compare both sides level by level.

    A node agrees when its digests are the same, no stamp in it is older than `schema_version`, and none is past
    the graph's `head` afterwards.
    """
    found = Descent([], [])
    root = tree.root()
    level = [] if root is None else [root]
    while level:
        digests = index.digests([tree.range_of(node) for node in level])
        found.queries += 1
        newest = head()
        below: list[Node] = []
        for node, held in zip(level, digests, strict=True):
            if newest.covers(held) and agrees(tree.digest_of(node).by_type, held, schema_version):
                found.equal.append((node, held))
            elif node.is_leaf:
                found.differing.append(node)
            else:
                below.extend(tree.children(node))
        level = below
    return found


def agrees(wanted: Mapping[str, Digest], held: RangeDigest, schema_version: int) -> bool:
    """Whether an index holds what the graph asks for, and none of it is older than a schema."""
    if held.schema_version_min is not None and held.schema_version_min < schema_version:
        return False
    return _without_empty(wanted) == _without_empty(held.by_type)


def _without_empty(by_type: Mapping[str, Digest]) -> dict[str, Digest]:
    return {name: found for name, found in by_type.items() if found.records}
