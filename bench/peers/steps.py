"""The steps of one peer: each is timed, and what it did is looked at by searches before the next one begins."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.peers.work import Graph, Node, Peer, edited

EDITS, DELETES, LONE_EDITS = 500, 500, 60
_WARM = 10
_LOOKED_AT = 100
_SAME = 0.999
"""Two texts of the embedding for free have a cosine of at most 0.3: above this, it is the text's own vector."""


@dataclass(slots=True)
class Steps:
    """What one peer has done so far, and what of it was right."""

    peer: Peer
    graph: Graph
    rebuilds: bool
    """Whether damage that stays is answered with the strongest thing there is."""
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    lone_ms: list[float] = field(default_factory=list)
    lone_found_ms: list[float] = field(default_factory=list)
    damage: dict[str, Any] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Take all steps and return the figures."""
        rng = random.Random(14)
        nodes = {node.id: node for node in self.graph.nodes}
        self._timed("load", lambda: self.peer.load(self.graph))
        self._check("loaded", self._wrong(rng.sample(self.graph.nodes, _LOOKED_AT), []))

        before = rng.sample(self.graph.nodes, EDITS)
        changed = [edited(node, number) for number, node in enumerate(before)]
        self._timed("edit", lambda: self.peer.edit(changed))
        nodes.update((node.id, node) for node in changed)
        self._check("edited", self._wrong(changed, before))

        self._lone_edits(rng, nodes)

        gone = rng.sample(self.graph.leaves, DELETES)
        gone_now = [nodes.pop(node.id) for node in gone]
        remaining = list(nodes.values())
        self._timed("delete", lambda: self.peer.delete(gone_now, remaining))
        self._check("deleted", self._wrong(rng.sample(remaining, _LOOKED_AT), gone_now))

        self._damage(rng, remaining)
        return self.figures()

    def figures(self) -> dict[str, Any]:
        """Return what was measured and seen."""
        return {
            "settings": self.peer.settings,
            "nodes": len(self.graph.nodes),
            "relationships": len(self.graph.relationships),
            "load_per_s": round(len(self.graph.nodes) / self.seconds["load"], 1),
            "edits_per_s": round(EDITS / self.seconds["edit"], 1),
            "deletes_per_s": round(DELETES / self.seconds["delete"], 1),
            "lone_edit_ms_p50": round(statistics.median(self.lone_ms), 2),
            "lone_edit_ms_p95": round(statistics.quantiles(self.lone_ms, n=20)[-1], 2),
            "lone_edit_found_ms_p50": round(statistics.median(self.lone_found_ms), 2),
            "cpu_s": self.cpu_s,
            "checks": self.checks,
            "damage": self.damage,
        }

    def _timed(self, name: str, work: Callable[[], None]) -> None:
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        work()
        self.seconds[name] = time.perf_counter() - started_s
        self.cpu_s[name] = round(time.process_time() - started_cpu_s, 3)

    def _lone_edits(self, rng: random.Random, nodes: dict[str, Node]) -> None:
        """Edit one node at a time: until the peer says that it is searchable, and until a search has found it."""
        wrong: list[str] = []
        for number, identity in enumerate(rng.sample(list(nodes), _WARM + LONE_EDITS)):
            before = nodes[identity]
            node = nodes[identity] = edited(before, 10_000 + number)
            started_s = time.perf_counter()
            self.peer.edit([node])
            ended_s = time.perf_counter()
            is_found = self._finds(node)
            found_s = time.perf_counter()
            if number >= _WARM:
                self.lone_ms.append((ended_s - started_s) * 1_000)
                self.lone_found_ms.append((found_s - started_s) * 1_000)
            if not is_found or self._holds(before):
                wrong.append(identity)
        self._check("lone edits", wrong)

    def _damage(self, rng: random.Random, remaining: Sequence[Node]) -> None:
        removed, changed = rng.sample(remaining, 2)
        self.peer.damage(removed, changed)
        harmed = {"removed vector": removed, "changed vector": changed}
        self.damage["searches harmed"] = {name: not self._finds(node) for name, node in harmed.items()}
        started_s = time.perf_counter()
        told = self.peer.look(remaining)
        self.damage["look"] = self._seen(told.words, harmed, started_s) | {"noticed": told.noticed}
        if self.rebuilds and not all(self.damage["look"]["repaired"].values()):
            started_s = time.perf_counter()
            words = self.peer.rebuild(remaining)
            self.damage["rebuild"] = self._seen(words or "nothing", harmed, started_s)
        left = [node for node in remaining if node not in (removed, changed)]
        self._check("at the end", self._wrong(rng.sample(left, _LOOKED_AT), []))

    def _seen(self, words: str, harmed: dict[str, Node], started_s: float) -> dict[str, Any]:
        seconds = round(time.perf_counter() - started_s, 3)
        repaired = {name: self._finds(node) for name, node in harmed.items()}
        return {"what": words, "seconds": seconds, "repaired": repaired}

    def _wrong(self, present: Sequence[Node], absent: Sequence[Node]) -> list[str]:
        """Return the ids of those that searches do not find by their text, or find by a text that is no more."""
        missing = [node.id for node in present if not self._finds(node)]
        return missing + [node.id for node in absent if self._holds(node)]

    def _finds(self, node: Node) -> bool:
        return any(hit.id == node.id and hit.score > _SAME for hit in self.peer.search(node.text, 3))

    def _holds(self, node: Node) -> bool:
        return any(hit.score > _SAME and hit.id == node.id for hit in self.peer.search(node.text, 3))

    def _check(self, name: str, wrong: Sequence[str]) -> None:
        self.checks[name] = "right" if not wrong else f"WRONG: {len(wrong)}, such as {', '.join(wrong[:3])}"
