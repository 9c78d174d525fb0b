"""
The work that every peer does, and how it is looked at: WordNet's nodes, what changes in them, a free embedding.

Runs in the environment of every peer, so it needs nothing but numpy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

DIMENSION = 384
SHOWN = "HYPERNYM"
"""The relationship whose targets a node's text shows by their names."""
SHOWN_MAX = 10

Vectors = npt.NDArray[np.float32]


def embed(texts: Sequence[str]) -> Vectors:
    """Return unit-length vectors that depend on the texts alone: the bytes of a SHAKE-128 digest, 2 µs a text."""
    digests = b"".join(hashlib.shake_128(text.encode()).digest(DIMENSION) for text in texts)
    rows = np.frombuffer(digests, np.uint8).reshape(len(texts), DIMENSION).astype(np.float32) - 127.5
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows


@dataclass(frozen=True, slots=True)
class Node:
    """An entity of the graph, with the names that its text shows beside its own."""

    id: str
    type: str
    name: str
    description: str
    broader: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text that stands for the node; Slipstream's view renders the very same one from the graph."""
        shown = f" Is a {'; '.join(self.broader)}." if self.broader else ""
        return f"{self.name}: {self.description}{shown}"


VIEW = "{{ name }}: {{ description }}{% if broader %} Is a {{ broader|map(attribute='name')|join('; ') }}.{% endif %}"


@dataclass(frozen=True, slots=True)
class Graph:
    """The input of all peers. The others have no relationships: they are given the texts that come out of them."""

    nodes: Sequence[Node]
    relationships: Sequence[tuple[str, str, str]]

    @property
    def leaves(self) -> list[Node]:
        """The nodes whose names no other text shows: what happens to them concerns their own records alone."""
        pointed_at = {target for _, kind, target in self.relationships if kind == SHOWN}
        return [node for node in self.nodes if node.id not in pointed_at]


def read_graph(dump: Path) -> Graph:
    """Read a dump that `bench.wordnet.data` wrote."""
    rows = [json.loads(line) for line in dump.read_text(encoding="utf-8").splitlines()]
    names = {row["id"]: row["properties"]["name"] for row in rows if row["type"] == "node"}
    relationships = [
        (row["start"]["id"], row["label"], row["end"]["id"]) for row in rows if row["type"] == "relationship"
    ]
    broader: dict[str, set[str]] = {}
    for source, kind, target in relationships:
        if kind == SHOWN:
            broader.setdefault(source, set()).add(target)
    nodes = []
    for row in rows:
        if row["type"] == "node":
            shown = tuple(names[target] for target in sorted(broader.get(row["id"], ()))[:SHOWN_MAX])
            properties = row["properties"]
            description = " ".join(properties["description"].split())
            nodes.append(Node(row["id"], row["labels"][0], properties["name"], description, shown))
    return Graph(nodes, relationships)


def edited(node: Node, number: int) -> Node:
    """Return the node with a description that it never had before."""
    return replace(node, description=f"Edit {number}. {node.description}")


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer: the node's id, and the cosine of its vector with the question's."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class Told:
    """What a pass over everything told of itself."""

    noticed: bool
    """Whether it said, or did, anything that it would not have without the damage."""
    words: str


class Peer(Protocol):
    """
    One way to keep a vector index up to date, used as its documentation says it is at its best.

    `load`, `edit` and `delete` return when the change is searchable, and not before.
    """

    settings: str
    """How it is used, in one line."""

    def load(self, graph: Graph) -> None:
        """Take in everything, into an empty index."""
        ...

    def edit(self, nodes: Sequence[Node]) -> None:
        """Take in new texts of nodes that are there."""
        ...

    def delete(self, nodes: Sequence[Node], remaining: Sequence[Node]) -> None:
        """Delete nodes; `remaining` are all the others, for those that must be told of everything."""
        ...

    def search(self, text: str, k: int) -> Sequence[Hit]:
        """Return the nearest nodes, best first."""
        ...

    def damage(self, removed: Node, changed: Node) -> None:
        """Take one node's vector from the store and put a wrong one in another's place, behind the peer's back."""
        ...

    def look(self, remaining: Sequence[Node]) -> Told:
        """Do what usually brings the index level with its input; whoever has an audit, audits, and repairs."""
        ...

    def rebuild(self, remaining: Sequence[Node]) -> str | None:
        """Do the strongest documented thing against damage; return what it was, None when there is nothing else."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...
