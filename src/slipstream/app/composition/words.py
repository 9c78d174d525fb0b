"""Word rows, put together: the follower that keeps them, and what a search needs of them, as owner and beside it."""

from __future__ import annotations

import random

from slipstream.app.composition.options import Options
from slipstream.app.composition.recipes import views_of
from slipstream.app.composition.stores import Shared, Stores
from slipstream.app.config import Config
from slipstream.app.remote.frontier import PublishedFrontier
from slipstream.app.remote.guest import GuestSync
from slipstream.apply.words import WordWriter
from slipstream.domain.journal_names import WORDS_FRONTIER
from slipstream.engine.loop import SyncEngine
from slipstream.engine.runner import Sync
from slipstream.engine.word_facts import LOG_PAGE, SCAN_PAGE, WordSettings
from slipstream.engine.words import WordFollower
from slipstream.ports.words import MendsItself
from slipstream.search.words import SearchedWords
from slipstream.views.words import WordViews


def follower_of(
    config: Config, options: Options, stores: Stores, engine: SyncEngine, rng: random.Random | None
) -> WordFollower:
    """Return what keeps word rows behind the graph, not started."""
    graph = options.wrapping.graph(stores.graph.reader)
    views, limits = WordViews(views_of(config, options)), engine.settings
    writer = WordWriter(graph, stores.words, stores.journal, views, shares_journal=stores.words_share_journal)
    follower = WordFollower(
        graph=graph,
        log=stores.graph.feed,
        writer=writer,
        journal=stores.journal,
        clock=options.clock,
        changed=engine.changed,
        settings=WordSettings(
            log_page=min(LOG_PAGE, limits.log_page),
            scan_page=min(SCAN_PAGE, limits.log_page),
            save_every_s=limits.checkpoint_interval_s,
            idle_wait_s=limits.idle_wait_s,
            backoff_base_s=limits.backoff_base_s,
            backoff_max_s=limits.backoff_max_s,
            brake=limits.brake,
        ),
        rng=rng,
    )
    if isinstance(stores.words, MendsItself):
        stores.words.tell_when_emptied(follower.refill)
    return follower


def words_here(stores: Stores, follower: WordFollower, sync: Sync) -> SearchedWords:
    """Return what a search of the engine's own process needs."""
    return SearchedWords(
        stores.words, follower.writer.views, frontier=lambda: follower.frontier, wait=sync.wait_for_words
    )


def words_frontier(shared: Shared) -> PublishedFrontier:
    """Return the frontier of the word rows as the owner publishes it."""
    return PublishedFrontier(shared.store.journal, shared.store.watch, WORDS_FRONTIER)


def words_beside(config: Config, options: Options, shared: Shared, sync: GuestSync) -> SearchedWords:
    """Return what a search of another process needs: it reads the rows for itself."""
    views = WordViews(views_of(config, options))
    return SearchedWords(shared.store.words, views, frontier=sync.words_frontier, wait=sync.wait_for_words)
