"""A system in memory whose records are searched by words too, kept up by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slipstream.adapters.indexes.sqlite.words_memory import MemoryWords
from slipstream.domain.errors import UnavailableError
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.words import WordDeletion, word_row
from slipstream.search.searcher import Searcher
from slipstream.search.words import SearchedWords
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View
from slipstream.views.words import WordViews


class Worded:
    """A `MemorySystem` and a word index beside it; `follow` makes the rows what the graph says now."""

    def __init__(self, views: Sequence[View] = (), **options: Any) -> None:
        self.system = MemorySystem(views=views, **options)
        self.index = MemoryWords()
        self.views = WordViews(views)
        self.frontier: Position = ORIGIN

    @property
    def graph(self) -> Any:
        return self.system.graph

    def add(self, entity_type: str, entity_id: str, **properties: Any) -> Position:
        position: Position = self.graph.create_entity(entity_type, entity_id, properties)
        return position

    def follow(self) -> None:
        """Write every word row anew."""
        graph = self.graph
        held = {stamp.key for stamp in self.index.scan(None, 10_000)}
        snapshot = graph.read([found.key for found in graph.scan(None, 10_000)], {})
        rows = [
            word_row(key, snapshot.position, fields)
            for key, state in snapshot.states.items()
            if (fields := self.views.fields(state)) is not None
        ]
        gone = [WordDeletion(key, snapshot.position) for key in held - snapshot.states.keys()]
        self.index.put(rows, gone)
        self.frontier = snapshot.position

    def settle(self) -> None:
        """Bring vectors and words up to the graph."""
        self.system.settle()
        self.follow()

    def searched(self) -> SearchedWords:
        return SearchedWords(
            self.index, self.views, lambda: self.frontier, lambda position, timeout_s: self.frontier >= position
        )

    def searcher(self, **options: Any) -> Searcher:
        system = self.system

        def wait(position: Position, timeout_s: float) -> bool:
            del timeout_s
            return system.engine.frontier >= position

        given: dict[str, Any] = {
            "words": self.searched(),
            "frontier": lambda: system.engine.frontier,
            "wait": wait,
            **options,
        }
        graph, index = given.pop("graph", system.graph), given.pop("index", system.index)
        service = given.pop("service", system.service)
        return Searcher(graph, index, service, system.places.live, **given)


class Refusing:
    """A model service that is down."""

    def __init__(self, error: Callable[[], Exception] = lambda: UnavailableError("the model is down")) -> None:
        self.error, self.asked = error, 0

    def embed_query(self, text: str, model_id: str) -> Any:
        del text, model_id
        self.asked += 1
        raise self.error()


def ids(results: Any) -> list[str]:
    """Return the ids of hits, best first."""
    return [hit.entity_id for hit in results]
