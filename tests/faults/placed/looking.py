"""What a fault has left, read before the engine has worked again: from a copy, so that looking mends nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from slipstream.adapters.graphs.sqlite.codec import KINDS
from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.app.composition.factories import open_store
from slipstream.app.composition.opening import DATA_FOLDER
from slipstream.domain.events import PKGEventType
from slipstream.domain.journal_names import FRONTIER
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.stamps import Stamp
from slipstream.ports.index import VectorIndex
from slipstream.recipes.generations import load_generations
from tests.faults.graph.checking import check_log, check_schema
from tests.faults.placed.world import Graph

TAMPERED = frozenset(f"p{number}" for number in range(10, 16))
_CREATED = next(code for code, kind in KINDS.items() if kind is PKGEventType.ENTITY_CREATED)
_OF_ENTITIES = tuple(code for code, kind in KINDS.items() if kind.is_entity)


@dataclass(frozen=True)
class Left:
    """The graph, when each entity was changed and made last, and what the index holds of the live generation."""

    graph: Graph
    changed: Mapping[str, int]
    created: Mapping[str, int]
    frontier: int
    stamps: Mapping[str, Sequence[Stamp]]
    buried: frozenset[str]
    """Keys that are dead letters: they are owed, and hold no frontier back."""


def look(root: Path) -> Left:
    """Read a copy of a PKG; fails for damaged files, and for a log or a schema that tells of something else."""
    copy = root.with_name(f"{root.name}-looked-at")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy)
    data = copy / DATA_FOLDER
    for file in ("graph.db", "index.db", "embeddings.cache", "chroma/chroma.sqlite3"):
        if (data / file).exists():
            with closing(sqlite3.connect(data / file)) as connection:
                found = connection.execute("PRAGMA integrity_check").fetchall()
                assert found == [("ok",)], f"{file} is damaged: {found}"
    graph, changed, created = read_graph(data / "graph.db")
    frontier, stamps, buried = _read_index(data)
    shutil.rmtree(copy)
    return Left(graph, changed, created, frontier, stamps, buried)


def read_graph(path: Path) -> tuple[Graph, Mapping[str, int], Mapping[str, int]]:
    """Return what the file holds, checked against its own log and schema."""
    if not path.exists():
        return Graph(), {}, {}
    with closing(sqlite3.connect(path)) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            return Graph(), {}, {}
        check_log(connection)
        people = connection.execute("SELECT properties FROM entity WHERE type = 'Person'").fetchall()
        check_schema(connection, [text for (text,) in people])
        entities = connection.execute("SELECT id, type, properties FROM entity").fetchall()
        related = connection.execute("SELECT source, type, target, key, properties FROM relationship").fetchall()
        marks = ",".join("?" * len(_OF_ENTITIES))
        last = f"SELECT id, max(position) FROM change WHERE kind IN ({marks}) GROUP BY id"  # noqa: S608
        changed = dict(connection.execute(last, _OF_ENTITIES).fetchall())
        made = "SELECT id, max(position) FROM change WHERE kind = ? GROUP BY id"
        created = dict(connection.execute(made, (_CREATED,)).fetchall())
    graph = Graph(
        {identity: (type_name, json.loads(text)) for identity, type_name, text in entities},
        {(source, kind, target, key): json.loads(text) for source, kind, target, key, text in related},
    )
    return graph, changed, created


def _read_index(data: Path) -> tuple[int, dict[str, list[Stamp]], frozenset[str]]:
    """Return the published frontier, the records of the live generation by key, and the keys that are set aside."""
    stamps: dict[str, list[Stamp]] = {}
    if not (data / "index.db").exists():
        return 0, {}, frozenset()
    with ExitStack() as stack:
        store = open_store(data, 10.0)
        stack.callback(store.close)
        index: VectorIndex = store.index
        if (data / "chroma").exists():
            index = ChromaIndex.embedded(data / "chroma")
            stack.callback(index.close)
        generations = load_generations(store.journal)
        frontier = int(store.journal.get(FRONTIER) or 0)
        if generations is None:
            assert frontier == 0
            return 0, {}, frozenset()
        model = generations.live.model_of("Person")
        for stamp in index.scan(None, 100_000):
            if stamp.space.model_id == model:
                stamps.setdefault(stamp.key.encode(), []).append(stamp)
        letters = {letter.key.encode() for letter in store.letters.letters(None, 1_000) if letter.key is not None}
    return frontier, stamps, frozenset(letters)


def check_frontier(left: Left, shown: int, exempt: frozenset[str]) -> None:
    """
    Fail where the index lacks what the frontier says is in it, or holds what it says is gone.

    What a commit past the frontier has changed may be old or new; but what is alive, and was made before it, has a
    record, whatever was to be done with it. The frontier is what the file says, or what somebody was told.
    """
    frontier = max(left.frontier, shown)
    for identity, (type_name, properties) in left.graph.entities.items():
        key = RecordKey(KeyKind.ENTITY, identity).encode()
        if identity in exempt or key in left.buried or left.created.get(identity, 0) > frontier:
            continue
        held = left.stamps.get(key, ())
        assert len(held) == 1, f"{len(held)} records of {identity}, which is alive, at frontier {frontier}"
        if left.changed.get(identity, 0) <= frontier:
            assert held[0].entity_type == type_name, f"{identity} is no {held[0].entity_type}, at frontier {frontier}"
            if type_name == "Person":
                assert held[0].metadata.get("n") == properties.get("n"), f"{identity} is stale at frontier {frontier}"
    for key in left.stamps:
        record = RecordKey.decode(key)
        is_gone = record.kind is KeyKind.ENTITY and record.id not in left.graph.entities and record.id not in exempt
        assert not is_gone or left.changed.get(record.id, 0) > frontier, f"{key} is gone, at frontier {frontier}"
