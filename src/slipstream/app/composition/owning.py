"""The process that runs the engine: every object of a PKG, put together."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from slipstream.app.composition.erasing import erasures_of
from slipstream.app.composition.factories import open_cache
from slipstream.app.composition.options import Options
from slipstream.app.composition.recipes import open_recipes
from slipstream.app.composition.running import Handed, compose
from slipstream.app.composition.stores import Shared, Stores
from slipstream.app.composition.watching import watch_of
from slipstream.app.config import Config
from slipstream.app.explaining import Explaining
from slipstream.app.slipstream import Parts, Slipstream
from slipstream.app.view_check import ViewChecking
from slipstream.audit.timeline import begin_timeline
from slipstream.domain.errors import UnavailableError
from slipstream.ports.embedder import EmbeddingCache

logger = logging.getLogger(__name__)

_PAGE = 10_000


def compose_owner(
    config: Config, data: Path, options: Options, shared: Shared, stores: Stores, stack: ExitStack
) -> Slipstream:
    """Return the PKG with its engine, for the process that holds the lease; closing it closes the stack."""
    clock = options.clock
    graph, feed = stores.graph.reader, stores.graph.feed
    index, journal, letters = stores.index, stores.journal, stores.letters
    cache = opened_cache(config, data, stack)
    models = open_recipes(config, options, journal, graph, cache, stack)
    service, recipes = models.service, models.recipes
    begin_timeline(stores.graph.marks, feed, index, journal, mark=uuid4().hex[:16], sealed=stores.sealed)
    running = compose(config, options, stores, models, Handed())
    running.maintenance.chores += shared.store.chores
    running.sync.on_idle = running.handler.deliver
    watch, scrubber = watch_of(
        config, running.sync, running.auditor, running.repairer, stores, clock, data=data, lease=shared.store.lease
    )
    parts = Parts(
        pkg=stores.pkg,
        sync=running.sync,
        store=running.store,
        service=service,
        recipes=recipes,
        migrations=running.migrations,
        reembedding=running.reembedding,
        explaining=Explaining(graph=graph, index=index, log=feed, letters=letters, engine=running.engine),
        view_checking=ViewChecking(graph, service, clock),
        quality=running.quality,
        queue=running.queue,
        handler=running.handler,
        searcher=running.searcher,
        journal=journal,
        dead_letters=letters,
        guest_journal=shared.store.guest_journal,
        guest_letters=shared.store.guest_letters,
        auditor=running.auditor,
        pace=running.pace,
        audits=stores.audits,
        evidence=stores.evidence,
        repairer=running.repairer,
        scrubber=scrubber,
        watch=watch,
        clock=clock,
        erasures=erasures_of(config, data, options, shared, stores, models, running, cache, scrubber, watch.alerts),
        close=stack.pop_all().close,
        write_back=running.write_back,
        refusal_limits=config.dead_letters.limits(),
        brake=config.brake.settings(),
        feed=config.feed.options(),
        refused_recipe=models.opened.refusal,
    )
    return Slipstream(parts)


def opened_cache(config: Config, data: Path, stack: ExitStack) -> EmbeddingCache | None:
    """Open the cache of embeddings, which the stack closes; None when it is switched off, or can not be had now."""
    try:
        cache = open_cache(config, data)
    except UnavailableError as error:  # a full disk, say: what works without a cache does
        logger.warning("going on without the cache of embeddings: %s", error)
        return None
    if cache is not None:
        stack.callback(cache.close)
    return cache
