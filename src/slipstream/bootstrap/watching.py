"""Audits, repair, the scrubber, alerts and the sync view, wired to the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from slipstream.adapters.alerts.log import LogSink
from slipstream.adapters.alerts.webhook import WebhookSink
from slipstream.bootstrap.options import Options
from slipstream.bootstrap.stores import Stores
from slipstream.consistency.alerts import Alerts
from slipstream.consistency.audit import AuditMemory, Auditor
from slipstream.consistency.pacing import Pace, polite
from slipstream.consistency.repair import Repairer
from slipstream.consistency.report import AuditReport
from slipstream.consistency.scrubber import Scrubber, ScrubSettings, unfinished_repairs
from slipstream.domain.errors import ConfigError, TransientError
from slipstream.domain.stamps import Stamp
from slipstream.domain.work import Lane
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.ports.alerts import AlertSink
from slipstream.ports.clock import Clock
from slipstream.service.config import Config
from slipstream.service.watch import Watch
from slipstream.sync.changes import LoggedChanges
from slipstream.sync.engine import SyncEngine
from slipstream.sync.entity_sync import EntitySyncReader
from slipstream.sync.planner import Planner
from slipstream.sync.recipe import ViewRecipe
from slipstream.sync.runner import Sync
from slipstream.sync.settling import Settling
from slipstream.sync.writeback import WriteBack, withdraw
from slipstream.wrappers.scoped import scoped

logger = logging.getLogger(__name__)

_BUSY_SHARE = 0.05
"""Of one core: what an audit that somebody waits for takes while live changes flow."""


def audits_of(
    sync: Sync,
    stores: Stores,
    service: MultiModelEmbeddingService,
    options: Options,
    recipe_id: Callable[[], str],
    write_back: WriteBack | None,
) -> tuple[Auditor, Repairer]:
    """Return what audits and what repairs; the sync view shows what an audit has found."""
    engine, recipes = sync.engine, sync.engine.recipes
    graph, audits, journal, clock = stores.graph, stores.audits, stores.journal, options.clock
    auditor = Auditor(
        graph,
        scoped(stores.plain_index, recipes.hides),
        recipes,
        clock,
        memory=AuditMemory(
            leaves=audits,
            audits=audits,
            journal=journal,
            changes=LoggedChanges(graph.log, Planner(graph, recipes, engine.settings.fanout_live_max)),
            recipe_id=recipe_id,
            spared=lambda: unfinished_repairs(repairer),
        ),
        settle=Settling(sync),
        frontier=lambda: engine.frontier,
        service=service,
        on_kept=None if write_back is None else partial(_show_audit, write_back),
        tracer=options.tracer,
    )
    repairer = Repairer(
        graph,
        scoped(stores.index, recipes.hides),
        recipes,
        service,
        auditor,
        audits,
        journal,
        clock,
        mark=sync.mark,
        waiting=lambda: sum(engine.pending().values()) if sync.running else 0,
        tracer=options.tracer,
    )
    return auditor, repairer


def auditor_beside(sync: Sync, stores: Stores, options: Options, recipe: ViewRecipe) -> Auditor:
    """Return what audits the generation beside the live one; it waits for the migration lane as well."""
    engine = sync.engine

    def hides() -> Callable[[Stamp], bool] | None:
        return engine.recipes.pair.is_live

    return Auditor(
        stores.graph,
        scoped(stores.plain_index, hides),
        recipe,
        options.clock,
        settle=Settling(sync, beside=True),
        frontier=lambda: engine.frontier,
        tracer=options.tracer,
    )


def polite_pace(sync: Sync, clock: Clock) -> Callable[[], Pace]:
    """Return what gives each audit in the engine's own process a pace of its own, out of the way of live changes."""
    return lambda: polite(lambda: _is_busy(sync.engine), clock, busy_share=_BUSY_SHARE)


def _is_busy(engine: SyncEngine) -> bool:
    """Whether live changes flow, or wait: what audits stand back for."""
    return engine.is_busy or engine.has_live_work


def _show_audit(write_back: WriteBack, report: AuditReport) -> None:
    if report.started_at is not None:
        try:
            write_back.verified(report.started_at, report.divergent_keys(), [*report.lagging, *report.unsettled_keys])
        except (TransientError, ConfigError) as error:  # the report stands all the same
            logger.warning("the audit is done, but the sync view can not show it now: %s", error)


def watch_of(
    config: Config, sync: Sync, auditor: Auditor, repairer: Repairer, stores: Stores, clock: Clock
) -> tuple[Watch, Scrubber]:
    """Return the scheduled audits, and what metrics and alerts say of them."""
    engine, audits, journal = sync.engine, stores.audits, stores.journal
    thresholds = config.alerts.thresholds()
    alerts = Alerts(journal, clock, thresholds, _sinks(config))
    scrubber = Scrubber(
        auditor,
        repairer,
        audits,
        journal,
        clock,
        ScrubSettings(**config.scrub.model_dump()),
        is_busy=lambda: _is_busy(engine),
        repairs_waiting=lambda: engine.pending()[Lane.REPAIR] + journal.work_count(Lane.REPAIR),
    )
    return Watch(sync.status, audits, repairer, scrubber, alerts, thresholds), scrubber


def _sinks(config: Config) -> dict[str, AlertSink]:
    sinks: dict[str, AlertSink] = {"log": LogSink()}
    if config.alerts.webhook is not None:
        sinks["webhook"] = WebhookSink(config.alerts.webhook, token_file=config.alerts.webhook_token_file)
    return sinks


def write_back_of(config: Config, options: Options, stores: Stores, engine: SyncEngine) -> WriteBack | None:
    """Return what keeps the graph's sync view in line; None, and no view, when it is switched off."""
    graph, journal = stores.graph, stores.journal
    if not config.graph.sync_states:
        if graph.sync_states.is_ours:
            withdraw(graph.sync_states, journal)
        return None
    graph.sync_states.check_name()
    index = scoped(stores.index, engine.recipes.hides)
    reader = EntitySyncReader(graph, index, stores.letters, engine.recipe, engine.is_pending)
    states = options.wrapping.sync_states(graph.sync_states)
    write_back = WriteBack(states, reader, graph, journal, options.clock, stores.notes)
    if graph.changed_while_closed:
        write_back.request_catch_up()
    return write_back
