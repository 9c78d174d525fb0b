"""Audits, repair, the scrubber, alerts and the sync view, wired to the engine."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from slipstream.adapters.wrappers.scoped import scoped
from slipstream.app.composition.factories import alert_memory, alert_sinks, room_of
from slipstream.app.composition.options import Options
from slipstream.app.composition.recipes import InForce
from slipstream.app.composition.stores import Stores
from slipstream.app.config import Config
from slipstream.app.incident import idle_repairer
from slipstream.app.remote.parts import StorePorts
from slipstream.app.watch import Watch
from slipstream.apply.words import WordWriter
from slipstream.audit.auditor import AuditMemory, Auditor
from slipstream.audit.changes import LoggedChanges, LoggedRecords
from slipstream.audit.findings import AuditReport
from slipstream.audit.owing import Owing
from slipstream.audit.pacing import Pace, polite
from slipstream.audit.repair import Repairer
from slipstream.audit.scrubber import Scrubber, ScrubSettings, unfinished_repairs
from slipstream.audit.settling import Settling
from slipstream.audit.words_comparing import AuditedWords
from slipstream.audit.words_reflecting import WordsReflecting
from slipstream.domain.errors import ConfigError, IncidentError, SlipstreamError, TransientError
from slipstream.domain.held import Placed
from slipstream.domain.incidents import Incident
from slipstream.domain.keys import RecordKey
from slipstream.domain.work import Lane
from slipstream.engine.loop import SyncEngine
from slipstream.engine.planner import Planner
from slipstream.engine.runner import Sync
from slipstream.engine.words import WordFollower
from slipstream.ports.alerts import AlertMemory
from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal
from slipstream.ports.lease import Lease
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.report.alerts import STATE, Alerts
from slipstream.syncview.entity_sync import EntitySyncReader
from slipstream.syncview.writeback import WriteBack, withdraw

logger = logging.getLogger(__name__)

_BUSY_SHARE = 0.05
"""The share of one core that an audit takes while live changes flow, when somebody waits for the audit."""


def audits_of(
    sync: Sync,
    stores: Stores,
    models: InForce,
    options: Options,
    recipe_id: Callable[[], str],
    write_back: WriteBack | None,
    rng: random.Random | None,
    history_bytes_max: int,
) -> tuple[Auditor, Repairer]:
    """Return the auditor and the repairer; finished audits are shown in the sync view."""
    engine, recipes, service = sync.engine, sync.engine.recipes, models.service
    words = None if sync.words is None else _audited_words(sync, sync.words, stores)
    graph, audits, journal, clock = stores.graph.reader, stores.audits, stores.journal, options.clock
    auditor = Auditor(
        graph,
        scoped(stores.plain_index, recipes.hides),
        recipes,
        clock,
        memory=AuditMemory(
            leaves=audits,
            audits=audits,
            journal=journal,
            changes=LoggedChanges(stores.graph.feed, Planner(graph, recipes, engine.settings.fanout_live_max)),
            recipe_id=recipe_id,
            spared=lambda: unfinished_repairs(repairer),
            history_bytes_max=history_bytes_max,
            evidence=stores.evidence,
        ),
        settle=Settling(sync),
        owed=Owing(sync),
        frontier=lambda: engine.frontier,
        service=service,
        on_kept=None if write_back is None else partial(_show_audit, write_back),
        tracer=options.tracer,
        below=stores.below,
        rng=rng,
        aside=nullcontext if write_back is None else write_back.aside,
        words=words,
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
        brake=engine.settings.brake,
        identity=lambda: stores.graph.marks.identity,
        words=None if sync.words is None else partial(_reconcile, sync.words.writer),
    )
    return auditor, repairer


def _audited_words(sync: Sync, follower: WordFollower, stores: Stores) -> AuditedWords:
    return AuditedWords(
        rows=stores.words,
        views=follower.writer.views,
        reflects=WordsReflecting(sync, follower),
        frontier=lambda: follower.frontier,
        changes=LoggedRecords(stores.graph.feed),
    )


def _reconcile(writer: WordWriter, keys: Sequence[RecordKey], *, anew: bool = False) -> object:
    return writer.reconcile(keys, anew=anew)


def auditor_beside(sync: Sync, stores: Stores, options: Options, recipe: ViewRecipe) -> Auditor:
    """Return the auditor of the generation beside the live one; it waits for the migration lane as well."""
    engine = sync.engine

    def hides() -> Callable[[Placed], bool] | None:
        return engine.recipes.pair.is_live

    return Auditor(
        stores.graph.reader,
        scoped(stores.plain_index, hides),
        recipe,
        options.clock,
        settle=Settling(sync, beside=True),
        owed=Owing(sync, beside=True),
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
            write_back.verified(report.started_at, report.divergent_keys(), [*report.owed, *report.unsettled_keys])
            if report.kind in ("full", "deep"):
                write_back.request_catch_up()  # other programs may have written into the view
        except (TransientError, ConfigError) as error:  # the audit itself is valid without it
            logger.warning("the audit is done, but the sync view can not show it now: %s", error)


def watch_of(
    config: Config,
    sync: Sync,
    auditor: Auditor,
    repairer: Repairer,
    stores: Stores,
    clock: Clock,
    *,
    data: Path,
    lease: Lease,
) -> tuple[Watch, Scrubber]:
    """Return the watch, which tells metrics and alerts, and the scheduled audits."""
    engine, audits, journal = sync.engine, stores.audits, stores.journal
    thresholds = config.alerts.thresholds()
    memory = alert_memory(data, lambda: lease.held)
    _take_along(journal, memory)
    alerts = Alerts(memory, clock, thresholds, alert_sinks(config.alerts))
    scrubber = Scrubber(
        auditor,
        repairer,
        audits,
        journal,
        clock,
        ScrubSettings(**config.scrub.model_dump(exclude={"history_mb"})),
        is_busy=lambda: _is_busy(engine),
        repairs_waiting=lambda: engine.pending()[Lane.REPAIR] + journal.work_count(Lane.REPAIR),
        is_scanning=lambda: engine.intake_stage.is_comparing,
    )
    watch = Watch(
        sync.status,
        audits,
        repairer,
        scrubber,
        alerts,
        thresholds,
        free_bytes=room_of(data),
        troubles={
            "brake": repairer.brake.said,
            "incident": partial(_incident_met, engine),
        },  # by rule: see `alert_rules.TROUBLES`
    )
    watch.mind("pipeline", lambda: sync.dead)
    watch.mind("lease", lambda: None if lease.is_renewed else "nobody renews it: another process will take over")
    return watch, scrubber


def _incident_met(engine: SyncEngine) -> str | None:
    """Return the incident that the running engine has met, in which the graph was removed or replaced."""
    halted = engine.halted
    return halted.incident.what if isinstance(halted, IncidentError) and halted.incident is not None else None


def _take_along(journal: Journal, memory: AlertMemory) -> None:
    """Move the alert state that an older version kept in the journal, so that its firing alerts can resolve."""
    try:
        before = journal.get(STATE)
        if before is not None and memory.get(STATE) is None:
            memory.set(STATE, before)
        if before is not None:
            journal.set(STATE, None)
    except SlipstreamError as error:
        logger.warning("the alerts of an older version can not be taken along: %s", error)


def write_back_of(config: Config, options: Options, stores: Stores, engine: SyncEngine) -> WriteBack | None:
    """Return what keeps the graph's sync view up to date; None, and the view is emptied, when it is switched off."""
    graph, journal = stores.graph, stores.journal
    if not config.graph.sync_states:
        withdraw(graph.sync_view, journal)
        return None
    index = scoped(stores.index, engine.recipes.hides)
    reader = EntitySyncReader(graph.reader, index, stores.letters, engine.recipe, engine.is_pending)
    return WriteBack(stores.sync_view, reader, graph.reader, journal, options.clock, stores.notes)


def incident_watch(
    config: Config, data: Path, incident: Incident, sync: Sync, scrubber: Scrubber, store: StorePorts, clock: Clock
) -> Watch:
    """Return the watch of a PKG in an incident: alerts go on, with the incident itself as one."""
    thresholds = config.alerts.thresholds()
    alerts = Alerts(alert_memory(data, lambda: store.lease.held), clock, thresholds, alert_sinks(config.alerts))
    return Watch(
        sync.status,
        store.audits,
        idle_repairer(),
        scrubber,
        alerts,
        thresholds,
        free_bytes=room_of(data),
        troubles={"incident": lambda: incident.what},
    )
