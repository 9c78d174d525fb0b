"""Graph, index and journal, opened and wrapped."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from slipstream.adapters.wrappers.fenced import FencedSyncView
from slipstream.adapters.wrappers.noting import NotingIndex, NotingJournal, NotingLetters
from slipstream.app.composition.factories import (
    GRAPHS,
    INDEXES,
    erasing_of,
    is_graph_there,
    open_store,
    refuse_old_graph,
    selfcheck_of,
    words_in,
)
from slipstream.app.composition.options import Options
from slipstream.app.config import Config
from slipstream.app.incident import refused
from slipstream.app.pkg import PKG, GraphPorts
from slipstream.app.remote.parts import StorePorts
from slipstream.audit.below import Below
from slipstream.audit.incidents import examined, judge, seen_by
from slipstream.audit.leaves import LEAVES_MARK
from slipstream.audit.sealing import Evidence
from slipstream.domain.incidents import Incident
from slipstream.embedding.fingerprint import RULES as FINGERPRINT_RULES
from slipstream.engine.loop import SyncEngine
from slipstream.ports.audits import AuditStore
from slipstream.ports.erasing import Erasing
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import SealedIndex, VectorIndex
from slipstream.ports.journal import DeadLetters, Journal, MessageStore
from slipstream.ports.selfcheck import SelfCheck
from slipstream.ports.sync_view import SyncView
from slipstream.ports.words import WordIndex
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.generations import declaration_text
from slipstream.signing.keys import FOLDER as SIGNING
from slipstream.signing.keys import SigningKey
from slipstream.syncview.writeback import Notes

RECIPE = "recipe"


@dataclass(frozen=True, slots=True)
class Shared:
    """What every process of a PKG opens."""

    graph: GraphPorts
    pkg: PKG
    store: StorePorts
    incident: Incident | None = None
    """Why there is no graph: every call of it is refused. None when there is one."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Graph, index and journal for the owner of the engine: wrapped, so that what is written is noted."""

    graph: GraphPorts
    pkg: PKG
    index: VectorIndex
    journal: Journal
    letters: DeadLetters
    messages: MessageStore
    audits: AuditStore
    notes: Notes
    plain_index: VectorIndex
    """The index without the notes, for audits, which only read; it keeps its optional abilities."""
    sealed: SealedIndex | None
    """The index, if it stands in a store of its own."""
    below: Below
    """What looks for damage in all three."""
    sync_view: SyncView
    words: WordIndex
    words_share_journal: bool = True
    """Whether the word rows are written in the journal's transactions."""
    evidence: Evidence | None = None
    """Signs and chains what audits find; None where there is no directory for a key."""
    erasing: Erasing | None = None
    """What erases from the index, if it stands in a store of its own, and can."""


def open_shared(config: Config, data: Path, options: Options, stack: ExitStack) -> Shared:
    """Open what every process opens; the stack closes it, also when a later part can not be opened."""
    refuse_old_graph(data)
    store = open_store(data, options.silence_s_max)
    stack.callback(store.close)
    if not is_graph_there(data):  # opening it would make one
        missing = judge(seen_by(store.index, store.journal), None)
        if missing is not None:
            graph = _no_graph(missing)
            return Shared(graph, PKG(graph), store, missing)
    graph = GRAPHS[config.graph.adapter](config, data, options.clock)
    stack.callback(graph.close)
    return Shared(graph, PKG(graph), store)


def _no_graph(missing: Incident) -> GraphPorts:
    return GraphPorts(
        reader=refused(missing),
        writer=refused(missing),
        feed=refused(missing),
        marks=refused(missing),
        sync_view=refused(missing),
        cypher=refused(missing),
        sql=refused(missing),
        close=lambda: None,
    )


def incident_in(shared: Shared, stores: Stores) -> Incident | None:
    """Return why graph, index and journal do not belong together, None when they do; writes nothing."""
    graph = stores.graph
    return shared.incident or examined(
        graph.marks, graph.feed, graph.reader, stores.plain_index, stores.journal, stores.sealed
    )


def owned_stores(config: Config, data: Path, options: Options, shared: Shared, stack: ExitStack) -> Stores:
    """Open what only the owner of the engine opens, and wrap everything."""
    store, wrapping = shared.store, options.wrapping
    notes, index = Notes(options.clock), INDEXES[config.index.adapter](config, data, store)
    if index is not store.index:  # the store's own index is closed with the store
        stack.callback(index.close)
    erasing = None if index is store.index else erasing_of(index)
    sealed = index if isinstance(index, SealedIndex) else None
    below = _below(config, shared, None if index is store.index else index)
    words = words_in(index, store)
    index = wrapping.index(index)
    return Stores(
        shared.graph,
        shared.pkg,
        NotingIndex(index, notes.add),
        NotingJournal(wrapping.journal(store.journal), notes.add),
        NotingLetters(store.letters, notes.add),
        store.messages,
        wrapping.audits(store.audits),
        notes,
        index,
        sealed,
        below,
        FencedSyncView(wrapping.sync_view(shared.graph.sync_view), store.lease.renew),
        wrapping.words(words),
        words is store.words,
        evidence=evidence_of(data, store, options),
        erasing=erasing,
    )


def evidence_of(data: Path, store: StorePorts, options: Options) -> Evidence:
    """Return what signs in the PKG's name; its key is made when it is asked for."""
    return Evidence(SigningKey(data / SIGNING), store.audits, store.journal, options.clock)


def _below(config: Config, shared: Shared, index: VectorIndex | None) -> Below:
    """Return the self-checks of the stores, and which have none; `index` is None if it shares the journal's file."""
    found: dict[str, object] = {config.graph.adapter: shared.graph.selfcheck, "journal": shared.store.selfcheck}
    if index is not None:
        found[config.index.adapter] = selfcheck_of(index)
    checks = {name: check for name, check in found.items() if isinstance(check, SelfCheck)}
    graph = checks.get(config.graph.adapter)
    without = [name for name in found if name not in checks]
    return Below(list(checks.values()), without, () if graph is None else (graph.store,))


def recipe_digest(config: Config, live: RecipeDeclaration) -> str:
    """Return a digest of everything outside the graph that decides what the index should hold."""
    settings = (config.index.model_dump_json(), config.models.fusion.model_dump_json())
    parts = [FINGERPRINT_RULES, *settings, declaration_text(live)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def compare_with_last_time(engine: SyncEngine, graph: GraphReader, journal: Journal, recipe: str) -> None:
    """Have everything compared by fingerprint when the recipe digest differs from that of the last run."""
    before = journal.get(RECIPE)
    if before == recipe:
        return
    if before is not None or engine.checkpoint or graph.counts():
        engine.request_full_scan()
        journal.set(LEAVES_MARK, None)  # the log does not tell what has changed: the next audit reads everything
    journal.set(RECIPE, recipe)
