"""WordNet and copies of it with ids of their own, each linked to the one before; and a cheap embedding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.domain.models import ModelSpec

DIMENSION = 384
LINKED_EVERY = 10
"""Of each copy, every so manyth node is linked to its original in the copy before."""
_WORDS_MAX = 20_000

Row = tuple[str, str, dict[str, str]]
Link = tuple[str, str, str]


class Graph:
    """A graph of any size, out of a dump of WordNet whole; the same every time."""

    def __init__(self, dump: Path, entities: int) -> None:
        self.entities = entities
        self._nodes: list[dict[str, Any]] = []
        self._links: list[Link] = []
        with dump.open(encoding="utf-8") as file:
            for row in map(json.loads, file):
                if row["type"] == "node":
                    self._nodes.append(row)
                else:
                    self._links.append((row["start"]["id"], row["label"], row["end"]["id"]))

    def nodes(self) -> Iterator[Row]:
        """Yield entities: id, type, properties."""
        return islice((self._node(node, copy) for copy in count() for node in self._nodes), self.entities)

    def links(self) -> Iterator[Link]:
        """Yield the relationships between those entities: source, type, target."""
        kept: set[str] = set()
        for copy in range(-(-self.entities // len(self._nodes))):
            before, kept = kept, {row[0] for row in islice(self.nodes(), copy * len(self._nodes), self._end(copy))}
            for source, kind, target in self._links:
                one, other = _renamed(source, copy), _renamed(target, copy)
                if one in kept and other in kept:
                    yield one, kind, other
            for node in self._nodes[::LINKED_EVERY]:
                one, other = _renamed(node["id"], copy), _renamed(node["id"], copy - 1)
                if copy and one in kept and other in before:
                    yield one, "COPY_OF", other

    def _end(self, copy: int) -> int:
        return min(self.entities, (copy + 1) * len(self._nodes))

    def _node(self, node: dict[str, Any], copy: int) -> Row:
        properties = node["properties"]
        texts = {"name": properties["name"], "description": properties["description"]}
        return _renamed(node["id"], copy), node["labels"][0], texts


def _renamed(identity: str, copy: int) -> str:
    return f"{identity}-{copy}" if copy else identity


class WordsEmbedder:
    """
    Texts that share words are near each other: the sum of what SHAKE-128 makes of each word; 20 µs a text.

    A model would take an hour and more for a million texts, and change nothing of what is measured here.
    """

    spec = ModelSpec("words", "1", DIMENSION, tokens_max=8_192, cacheable=False)

    def __init__(self) -> None:
        self._words: dict[str, npt.NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one vector a text."""
        rows = np.empty((len(texts), DIMENSION), np.float32)
        for row, text in zip(rows, texts, strict=True):
            np.sum([self._word(word) for word in text.split()[:64] or [""]], axis=0, out=row)
        rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        return rows

    def _word(self, word: str) -> npt.NDArray[np.float32]:
        vector = self._words.get(word)
        if vector is None:
            digest = hashlib.shake_128(word.encode()).digest(DIMENSION)
            vector = np.frombuffer(digest, np.uint8).astype(np.float32) - 127.5
            if len(self._words) < _WORDS_MAX:
                self._words[word] = vector
        return vector

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many words each text has."""
        return [text.count(" ") + 1 for text in texts]

    def close(self) -> None:
        """Do nothing."""
