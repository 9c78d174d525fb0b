"""Composes a guest: a process that reads for itself, asks the owner of the engine for the rest, and stands by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from slipstream.app.composition.factories import EMBEDDED_FOR_ONE, INDEXES
from slipstream.app.composition.incidents import Place, compose_incident_guest
from slipstream.app.composition.measured_searches import search_parts
from slipstream.app.composition.models import registered_models
from slipstream.app.composition.options import Options
from slipstream.app.composition.owning import opened_cache
from slipstream.app.composition.recipes import declare, not_put_in_force, recipes_of, router_of, views_of
from slipstream.app.composition.reordering import reorderings_of
from slipstream.app.composition.running import searched_types, types_with_records
from slipstream.app.composition.stores import Shared, evidence_of
from slipstream.app.composition.words import words_beside, words_frontier
from slipstream.app.config import Config
from slipstream.app.explaining import Explaining
from slipstream.app.remote.calling import Caller
from slipstream.app.remote.following import FollowedRecipes
from slipstream.app.remote.frontier import PublishedFrontier
from slipstream.app.remote.guest import GuestSlipstream, GuestSync, asked_parts
from slipstream.app.remote.indexing import asked_index
from slipstream.app.remote.migrating import GuestMigrations
from slipstream.app.remote.parts import StorePorts, remote_part
from slipstream.app.remote.standby import Standby
from slipstream.app.remote.standin import StandIn
from slipstream.app.slipstream import Parts, Slipstream
from slipstream.app.view_check import ViewChecking
from slipstream.audit.incidents import published_incident
from slipstream.audit.pacing import FULL_SPEED
from slipstream.audit.sealing import Evidence
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.embedding.temporal import FusionWeights
from slipstream.engine.loop import SyncEngine
from slipstream.events.handler import PKGSyncHandler
from slipstream.events.queue import EventQueue
from slipstream.evolution.reembedding import ReembeddingService
from slipstream.evolution.store import SchemaVersionedEmbeddingStore
from slipstream.ports.index import VectorIndex
from slipstream.ports.recipe import LiveRecipe
from slipstream.quality.runs import Quality, QualityParts
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.generations import Generations, load_generations
from slipstream.recipes.in_force import LivePlaces, Recipes
from slipstream.search.fusing import fuse_vectors
from slipstream.search.hits import record_name
from slipstream.search.searcher import Searcher


def compose_guest(
    config: Config,
    data: Path,
    options: Options,
    shared: Shared,
    stack: ExitStack,
    take_over: Callable[[], Callable[[], None]],
    *,
    run: bool,
) -> Slipstream:
    """
    Return the PKG for a process that does not run the engine; closing it closes the stack.

    `take_over` composes the owner, and returns what closes it again. With `run` the guest stands by to take over for
    good; without, it takes over only while it asks what no other process answers.
    """
    store, owners = shared.store, ExitStack()
    stand_in = StandIn(store.lease, take_over)
    caller = Caller(store.requests, store.audits, options.clock, stranded=None if run else stand_in.step_in)
    wrong = shared.incident or published_incident(store.journal)
    if wrong is not None:
        index = _index(config, data, store, caller, stack)
        stack.callback(stand_in.stop)
        return compose_incident_guest(Place(config, data, options, shared), wrong, index, caller, stack)
    reading = _reading(config, data, options, shared, caller, stack)
    stack.callback(owners.close)
    stack.callback(stand_in.stop)
    return GuestSlipstream(
        _parts(config, options, shared, reading, caller, stack),
        caller,
        standby=Standby(store.lease, _followed_by_closing(take_over, owners), owners.close) if run else None,
        asks_searches=config.index.adapter in EMBEDDED_FOR_ONE,
        follow=reading.followed.refresh,
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a guest reads with: the models, the owner's recipes, the index."""

    registry: ModelRegistry
    service: MultiModelEmbeddingService
    recipes: Recipes
    followed: FollowedRecipes
    places: LivePlaces
    index: VectorIndex
    evidence: Evidence
    declared: RecipeDeclaration
    refusal: str | None
    """Why the declared recipe is not in force; None if it is."""

    def live(self, entity_type: str | None = None) -> LiveRecipe:
        """Follow the owner, then say where its live records are."""
        self.followed.refresh()
        return self.places.live(entity_type)


def _reading(
    config: Config, data: Path, options: Options, shared: Shared, caller: Caller, stack: ExitStack
) -> _Reading:
    store = shared.store
    registry, router = registered_models(config, options, store.journal)
    stack.callback(registry.close)
    generations = _generations(store)
    declared = declare(views_of(config, options), router, registry, generations.live)
    refusal = not_put_in_force(generations, declared, shared.graph.reader, options.on_other_recipe)
    fusion = FusionWeights(**config.models.fusion.model_dump())
    service = MultiModelEmbeddingService(
        registry, router_of(generations.live, registry), opened_cache(config, data, stack), fusion, options.tracer
    )
    recipes = recipes_of(generations, service)
    followed = FollowedRecipes(store.journal, recipes, lambda found: recipes_of(found, service).pair)
    index = _index(config, data, store, caller, stack)
    places = LivePlaces(recipes, partial(searched_types, shared.graph.reader, index))
    evidence = evidence_of(data, store, options)
    return _Reading(registry, service, recipes, followed, places, index, evidence, declared, refusal)


def _parts(
    config: Config, options: Options, shared: Shared, reading: _Reading, caller: Caller, stack: ExitStack
) -> Parts:
    store, graph, clock, service = shared.store, shared.graph.reader, options.clock, reading.service
    frontier = PublishedFrontier(store.journal, store.watch)
    embeddings = _embeddings(shared, options, reading, caller)
    explaining = Explaining(
        graph=graph,
        index=reading.index,
        log=shared.graph.feed,
        letters=store.letters,
        engine=remote_part(SyncEngine, caller, "sync.engine"),
    )
    guest_sync = GuestSync(caller, frontier, words_frontier(shared))
    searcher = Searcher(
        graph,
        reading.index,
        service,
        reading.live,
        frontier=frontier.now,
        wait=guest_sync.wait,
        words=words_beside(config, options, shared, guest_sync),
        patience=guest_sync,
        reorderings=reorderings_of(config, options, graph),
        tracer=options.tracer,
        weights=config.search.fusion(),
    )
    asked = asked_parts(
        caller,
        guest_sync,
        migrations=GuestMigrations(caller, store.journal, reading.declared),
        reembedding=ReembeddingService(embeddings, service, graph, views=reading.recipes),
        quality=_quality(config, shared, options, reading, embeddings, frontier, searcher),
    )
    return Parts(
        pkg=shared.pkg,
        store=embeddings,
        service=service,
        recipes=reading.recipes,
        explaining=explaining,
        view_checking=ViewChecking(graph, service, clock),
        queue=EventQueue(store.guest_messages, store.guest_letters, clock, config.queue.topic_mb << 20),
        handler=remote_part(PKGSyncHandler, caller, "handler"),
        searcher=searcher,
        journal=store.journal,
        dead_letters=store.letters,
        guest_journal=store.guest_journal,
        guest_letters=store.guest_letters,
        pace=lambda: FULL_SPEED,
        audits=store.audits,
        evidence=reading.evidence,
        clock=clock,
        refusal_limits=config.dead_letters.limits(),
        brake=config.brake.settings(),
        feed=config.feed.options(),
        refused_recipe=reading.refusal,
        close=stack.pop_all().close,
        **asked,
    )


def _embeddings(shared: Shared, options: Options, reading: _Reading, caller: Caller) -> SchemaVersionedEmbeddingStore:
    def mark(keys: Sequence[RecordKey], reason: str, force: bool) -> None:
        caller.call("sync.mark", keys, reason=reason, force=force)

    return SchemaVersionedEmbeddingStore(
        reading.index,
        reading.registry,
        shared.store.journal,
        options.clock,
        schema=shared.graph.reader.schema,
        schema_at=shared.graph.reader.schema_at,
        recipe=reading.recipes,
        mark=mark,
        places=reading.places,
    )


def _quality(
    config: Config,
    shared: Shared,
    options: Options,
    reading: _Reading,
    embeddings: SchemaVersionedEmbeddingStore,
    frontier: PublishedFrontier,
    searcher: Searcher,
) -> Quality:
    return Quality(
        QualityParts(
            store=embeddings,
            graph=shared.graph.reader,
            journal=shared.store.journal,
            clock=options.clock,
            recipes=reading.recipes,
            types=partial(types_with_records, shared.graph.reader),
            embed_query=reading.service.embed_query,
            fuse=fuse_vectors,
            name_of=record_name,
            frontier=frontier.now,
            gate=config.quality.gate(),
            searching=search_parts(
                shared.graph.reader,
                shared.store.journal,
                options.clock,
                frontier.now,
                reading.recipes,
                reading.places,
                searcher,
                config.search.fusion(),
            ),
        )
    )


def _followed_by_closing(take_over: Callable[[], Callable[[], None]], owners: ExitStack) -> Callable[[], None]:
    def taken() -> None:
        owners.callback(take_over())

    return taken


def _generations(store: StorePorts) -> Generations:
    found = load_generations(store.journal)
    if found is None:
        raise UnavailableError("the process that runs the engine has not opened this PKG yet: try again")
    return found


def _index(config: Config, data: Path, store: StorePorts, caller: Caller, stack: ExitStack) -> VectorIndex:
    """Open the index for reading; one that only its owner can open is not opened but asked for by requests."""
    if config.index.adapter in EMBEDDED_FOR_ONE:
        return asked_index(caller)
    index = INDEXES[config.index.adapter](config, data, store)
    if index is not store.index:
        stack.callback(index.close)
    return index
