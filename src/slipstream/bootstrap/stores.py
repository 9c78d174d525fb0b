"""Graph, index and journal, opened and wrapped."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from slipstream.adapters.graphs.ladybug import LadybugGraph
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.bootstrap.options import Options
from slipstream.consistency.ledger import LEDGER
from slipstream.embedding.fingerprint import RULES as FINGERPRINT_RULES
from slipstream.ports.audits import AuditStore
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal, MessageStore
from slipstream.schema.declaration import RecipeDeclaration
from slipstream.schema.generations import declaration_text
from slipstream.service.config import Config
from slipstream.sync.engine import SyncEngine
from slipstream.sync.writeback import Notes
from slipstream.wrappers.noting import NotingIndex, NotingJournal, NotingLetters

RECIPE = "recipe"


@dataclass(frozen=True, slots=True)
class Stores:
    """Graph, index and journal, opened and wrapped; what is written to the latter two is noted."""

    graph: LadybugGraph
    index: VectorIndex
    journal: Journal
    letters: DeadLetters
    messages: MessageStore
    audits: AuditStore
    notes: Notes
    plain_index: VectorIndex
    """The index below the notes, with whatever else it can do: audits only read."""


def open_stores(config: Config, data: Path, options: Options, stack: ExitStack) -> Stores:
    """Open everything that lasts; the stack closes it, also when a later one can not be opened."""
    clock, wrapping = options.clock, options.wrapping
    graph = LadybugGraph(
        data / "graph.lbug", clock=clock, buffer_pool_size_bytes=config.graph.buffer_pool_mb * 1024 * 1024
    )
    stack.callback(graph.close)
    database = SqliteStore(data / "index.sqlite")
    stack.callback(database.close)
    notes, index = Notes(clock), wrapping.index(_index(config, data, database, stack))
    return Stores(
        graph,
        NotingIndex(index, notes.add),
        NotingJournal(wrapping.journal(database.journal), notes.add),
        NotingLetters(database.journal, notes.add),
        database.journal,
        wrapping.audits(database.audits),
        notes,
        index,
    )


def _index(config: Config, data: Path, database: SqliteStore, stack: ExitStack) -> VectorIndex:
    if config.index.adapter == "sqlite":
        return database.index
    from slipstream.adapters.indexes.chroma import ChromaIndex

    if config.index.adapter == "chroma":
        index = ChromaIndex.embedded(data / "chroma")
    else:
        index = ChromaIndex.server(config.index.host, config.index.port)
    stack.callback(index.close)
    return index


def recipe_digest(config: Config, live: RecipeDeclaration) -> str:
    """Return a digest of everything outside the graph that decides what the index should hold."""
    settings = (config.index.model_dump_json(), config.models.fusion.model_dump_json())
    parts = [FINGERPRINT_RULES, *settings, declaration_text(live)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def compare_with_last_time(engine: SyncEngine, graph: LadybugGraph, journal: Journal, recipe: str) -> None:
    """Have everything compared by fingerprint when graph, index or views changed while nobody was looking."""
    before = journal.get(RECIPE)
    is_new = before is None and not engine.checkpoint and not graph.counts()
    if not is_new and (graph.changed_while_closed or before != recipe):
        engine.request_full_scan()
        journal.set(LEDGER, None)  # the log does not tell what has changed: the next audit reads everything
    if before != recipe:
        journal.set(RECIPE, recipe)
