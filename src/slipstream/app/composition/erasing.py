"""Composes what erases entities: the stores that it is removed from, and what signs the receipt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slipstream._version import __version__
from slipstream.app.composition.factories import forget_files, sqlite_library
from slipstream.app.composition.options import Options
from slipstream.app.composition.recipes import InForce, views_of
from slipstream.app.composition.running import Running
from slipstream.app.composition.stores import Shared, Stores
from slipstream.app.config import Config
from slipstream.app.erasure.erasing import ErasingParts, Erasures
from slipstream.app.erasure.receipts import FOLDER as RECEIPTS
from slipstream.app.erasure.receipts import Circumstances, Receipts
from slipstream.app.uploads import UPLOADS_FOLDER
from slipstream.audit.scrubber import Scrubber
from slipstream.domain.erasure import Erased, Swept
from slipstream.engine.planner import Planner
from slipstream.ports.embedder import EmbeddingCache
from slipstream.ports.erasing import Resealing
from slipstream.report.alerts import Alerts
from slipstream.signing.keys import FOLDER as SIGNING
from slipstream.signing.keys import SigningKey
from slipstream.views.words import WordViews

_BEYOND = (
    "records were deleted from the index ({}), which keeps files of its own: what these still hold is overwritten by "
    "its own upkeep, or by filling a new one"
)


def erasures_of(
    config: Config,
    data: Path,
    options: Options,
    shared: Shared,
    stores: Stores,
    models: InForce,
    running: Running,
    cache: EmbeddingCache | None,
    scrubber: Scrubber,
    alerts: Alerts,
) -> Erasures | None:
    """Return what erases entities from this PKG; None where its graph's adapter can not."""
    log = stores.graph.erasing
    if log is None:
        return None
    own = stores.erasing
    if stores.evidence is not None and isinstance(shared.store.erasing, Resealing):
        shared.store.erasing.reseal_by(stores.evidence.resealed)

    def files(erased: Erased, rehearse: bool) -> Sequence[Swept]:
        return [*forget_files(data, cache, erased, rehearse), alerts.scrub(erased, rehearse=rehearse)]

    return Erasures(
        ErasingParts(
            pkg=stores.pkg,
            graph=stores.graph.reader,
            feed=stores.graph.feed,
            log=log,
            stores=[*([own] if own else []), shared.store.erasing],
            files=files,
            index=stores.index,
            journal=stores.journal,
            letters=stores.letters,
            sync=running.sync,
            scrubber=scrubber,
            planner=Planner(stores.graph.reader, models.recipes, running.engine.settings.fanout_live_max),
            words=lambda: WordViews(views_of(config, options)),
            followed=running.sync.wait_for_words,
            receipts=Receipts(data.parent / RECEIPTS, SigningKey(data / SIGNING).sign),
            around=Circumstances(
                graph_id=stores.graph.marks.identity,
                versions={"slipstream": __version__, "sqlite": sqlite_library()[0]},
            ),
            beyond=() if own or stores.sealed is None else (_BEYOND.format(config.index.adapter),),
            clock=options.clock,
            directory=data.parent,
            uploads=data / UPLOADS_FOLDER,
        )
    )
