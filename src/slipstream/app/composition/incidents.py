"""A PKG in an incident, put together: what searches and tells, and nothing that writes."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Never
from uuid import uuid4

from slipstream.adapters.wrappers.reading import ReadOnlyIndex
from slipstream.app.composition.factories import EMBEDDED_FOR_ONE, GRAPHS
from slipstream.app.composition.models import registered_models
from slipstream.app.composition.options import Options
from slipstream.app.composition.owning import opened_cache
from slipstream.app.composition.recipes import declare, recipes_of, router_of, views_of
from slipstream.app.composition.running import types_in
from slipstream.app.composition.stores import Shared, Stores, evidence_of
from slipstream.app.composition.watching import incident_watch
from slipstream.app.config import Config
from slipstream.app.incident import (
    GuestIncidentSlipstream,
    IncidentSlipstream,
    idle_scrubber,
    idle_sync,
    refused,
)
from slipstream.app.pkg import PKG, GraphPorts
from slipstream.app.remote.calling import Caller
from slipstream.app.remote.frontier import PublishedFrontier
from slipstream.app.slipstream import Parts
from slipstream.audit.incidents import publish
from slipstream.audit.pacing import FULL_SPEED
from slipstream.audit.timeline import adopt_graph
from slipstream.domain.errors import LeaseLostError, UnavailableError
from slipstream.domain.incidents import Incident
from slipstream.domain.positions import Position
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.embedding.temporal import FusionWeights
from slipstream.evolution.store import SchemaVersionedEmbeddingStore
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.recipes.generations import Generations, load_generations
from slipstream.recipes.in_force import LivePlaces, Recipes
from slipstream.search.searcher import Searcher

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a PKG is, and what every process opens of it."""

    config: Config
    data: Path
    options: Options
    shared: Shared


def compose_incident_owner(place: Place, stores: Stores, incident: Incident, stack: ExitStack) -> IncidentSlipstream:
    """Return the PKG for the process that holds the lease, and publish the incident to other processes."""
    journal = place.shared.store.journal
    logger.warning("%s", incident.line)
    publish(journal, incident)
    stack.callback(_withdraw, journal)
    parts = _parts(place, incident, stores.plain_index, stack)
    return IncidentSlipstream(parts, incident, adopt=partial(adopt_here, place, stores))


def compose_incident_guest(
    place: Place, incident: Incident, index: VectorIndex, caller: Caller, stack: ExitStack
) -> IncidentSlipstream:
    """Return the PKG for a guest, which asks the holder of the lease to adopt."""
    parts = _parts(place, incident, index, stack)
    asks_searches = place.config.index.adapter in EMBEDDED_FOR_ONE
    return GuestIncidentSlipstream(parts, incident, caller, asks_searches=asks_searches)


def _withdraw(journal: Journal) -> None:
    """Withdraw the published incident: the next process examines the PKG for itself."""
    try:
        publish(journal, None)
    except (LeaseLostError, UnavailableError) as error:  # the next owner withdraws it
        logger.info("the incident is told of for a while: %s", error)


def adopt_here(place: Place, stores: Stores) -> Position:
    """Take the graph for the truth, in the process that holds the lease; a missing graph is created empty."""
    with ExitStack() as own:
        graph = place.shared.graph
        if place.shared.incident is not None:
            graph = GRAPHS[place.config.graph.adapter](place.config, place.data, place.options.clock)
            own.callback(graph.close)
        return adopt_graph(
            graph.marks,
            graph.feed,
            stores.index,
            stores.journal,
            schema=graph.reader.schema,
            mark=uuid4().hex[:16],
            sealed=stores.sealed,
            words=stores.words,
        )


def _parts(place: Place, incident: Incident, plain_index: VectorIndex, stack: ExitStack) -> Parts:
    store, clock = place.shared.store, place.options.clock
    graph = _read_only(place.shared.graph, incident)
    index = ReadOnlyIndex(plain_index, incident.refusal)
    registry, service, recipes = _models(place, stack)
    places = LivePlaces(recipes, lambda _: types_in(index))
    sync, scrubber = idle_sync(incident, recipes, graph.feed, store.journal, store.letters), idle_scrubber()
    return Parts(
        pkg=PKG(graph),
        sync=sync,
        store=_embeddings(place, incident, graph.reader, index, registry, recipes, places),
        service=service,
        recipes=recipes,
        migrations=refused(incident),
        reembedding=refused(incident),
        explaining=refused(incident),
        view_checking=refused(incident),
        quality=refused(incident),
        queue=refused(incident),
        handler=refused(incident),
        searcher=_searcher(place, incident, graph.reader, index, service, places),
        journal=store.journal,
        dead_letters=store.letters,
        guest_journal=store.guest_journal,
        guest_letters=store.guest_letters,
        auditor=refused(incident),
        pace=lambda: FULL_SPEED,
        audits=store.audits,
        evidence=evidence_of(place.data, store, place.options),
        repairer=refused(incident),
        scrubber=scrubber,
        watch=incident_watch(place.config, place.data, incident, sync, scrubber, store, clock),
        clock=clock,
        close=stack.pop_all().close,
    )


def _read_only(graph: GraphPorts, incident: Incident) -> GraphPorts:
    return replace(
        graph,
        writer=refused(incident),
        marks=refused(incident),
        sync_view=refused(incident),
    )


def _models(place: Place, stack: ExitStack) -> tuple[ModelRegistry, MultiModelEmbeddingService, Recipes]:
    """Return the models and recipes that the journal says are in force; if the journal is lost, the declared ones."""
    config, options = place.config, place.options
    registry, router = registered_models(config, options, place.shared.store.journal)
    stack.callback(registry.close)
    kept = load_generations(place.shared.store.journal)
    generations = kept or Generations(live=declare(views_of(config, options), router, registry))
    service = MultiModelEmbeddingService(
        registry,
        router_of(generations.live, registry),
        opened_cache(config, place.data, stack),
        FusionWeights(**config.models.fusion.model_dump()),
        options.tracer,
    )
    return registry, service, recipes_of(generations, service)


def _embeddings(
    place: Place,
    incident: Incident,
    graph: GraphReader,
    index: VectorIndex,
    registry: ModelRegistry,
    recipes: Recipes,
    places: LivePlaces,
) -> SchemaVersionedEmbeddingStore:
    def mark(*what: object) -> Never:
        del what
        raise incident.refusal()

    return SchemaVersionedEmbeddingStore(
        index,
        registry,
        place.shared.store.journal,
        place.options.clock,
        schema=lambda: graph.schema(),  # noqa: PLW0108  (a graph that is not there refuses when it is asked)
        schema_at=lambda version: graph.schema_at(version),  # noqa: PLW0108
        recipe=recipes,
        mark=mark,
        places=places,
    )


def _searcher(
    place: Place,
    incident: Incident,
    graph: GraphReader,
    index: VectorIndex,
    service: MultiModelEmbeddingService,
    places: LivePlaces,
) -> Searcher:
    def wait(*what: object) -> Never:
        del what
        raise incident.refusal()

    store = place.shared.store
    return Searcher(
        graph,
        index,
        service,
        places.live,
        frontier=PublishedFrontier(store.journal, store.watch).now,
        wait=wait,
        incident=incident,
        tracer=place.options.tracer,
    )
