"""Opens a PKG: configuration in, running objects out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from slipstream.app.backup.restoring import finish_restore
from slipstream.app.client.addresses import is_url
from slipstream.app.composition.backups import backups_of, exporter_of, parts, rehearsing_of
from slipstream.app.composition.factories import DATA_FOLDER as DATA_FOLDER  # noqa: PLC0414  (named here by others too)
from slipstream.app.composition.factories import metrics_page, model_for_new
from slipstream.app.composition.guests import compose_guest
from slipstream.app.composition.incidents import Place, adopt_here, compose_incident_owner
from slipstream.app.composition.options import Options
from slipstream.app.composition.owning import compose_owner
from slipstream.app.composition.stores import Shared, incident_in, open_shared, owned_stores
from slipstream.app.config import CONFIG_NAME, Config, load_config, text_for_new
from slipstream.app.opened import Opened
from slipstream.app.remote.calling import Caller
from slipstream.app.remote.desk import Desk
from slipstream.app.remote.keeping import remove_left_uploads
from slipstream.app.slipstream import Slipstream
from slipstream.app.uploads import Uploads
from slipstream.audit.incidents import published_incident
from slipstream.domain.errors import ConfigError, InvalidInputError, UnavailableError
from slipstream.domain.metrics import NOT_VERIFIED, ConsistencyMetrics
from slipstream.ports.telemetry import Exposition
from slipstream.recipes.generations import load_generations
from slipstream.report.engine_metrics import metrics_of

_WAIT_S = 0.5
_PATIENCE_S = 30.0


def directory_of(place: Path | str) -> Path:
    """Return a directory; raises `InvalidInputError` for a URL, which would be made as a folder of that name."""
    if isinstance(place, str) and is_url(place):
        raise InvalidInputError(f"{place!r} is a URL: use `slipstream.connect({place!r})`", field="directory")
    return Path(place)


def initialise(directory: Path, more: str = "") -> bool:
    """Create a PKG's directory and its configuration, with `more` in it; False when they are there already."""
    path = directory / CONFIG_NAME
    finish_restore(directory, directory / DATA_FOLDER)
    if path.exists():
        load_config(directory)  # an unusable one is reported now rather than at the first import
        return False
    _make_folder(directory)
    try:
        path.write_text(text_for_new(model_for_new()) + more, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can not be written ({error.strerror}): choose another directory") from error
    return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} can not be made ({error.strerror}): choose another directory") from error


def open_pkg(
    directory: Path | str,
    *,
    run: bool = True,
    create: bool = False,
    config: Config | None = None,
    options: Options | None = None,
    wait: Callable[[float], bool] | None = None,
    mend: bool = True,
    adopt: bool = False,
) -> Slipstream:
    """Open the PKG in a directory; see `slipstream.open`, whose parameters these are."""
    root = directory_of(directory)
    data = root / DATA_FOLDER
    finish_restore(root, data)
    if create:
        initialise(root)
    config = config or load_config(root)
    _make_folder(data)  # and none where there is no PKG
    made = _Opening(config, data, options or Options())
    if adopt:
        made.adopt(wait)
    return made.open(run=run, wait=wait, mend=mend)


def _holds_lease(shared: Shared, wait: Callable[[float], bool] | None) -> bool:
    """
    Take the lease if it is free, and return whether it was; with `wait`, queue for it until `wait` returns True.

    The owner of a new PKG is about to publish the recipes in force. Until it does, the lease is waited for, in case
    that process fails. Raises `UnavailableError` when neither comes within 30 s.
    """
    lease, journal = shared.store.lease, shared.store.journal
    if lease.acquire(0):
        return True
    while wait is not None and not wait(0.0):
        if lease.acquire(_WAIT_S):
            return True
    patient_until = time.monotonic() + _PATIENCE_S
    while wait is None and load_generations(journal) is None and published_incident(journal) is None:
        if lease.acquire(_WAIT_S):
            return True
        if time.monotonic() >= patient_until:
            raise UnavailableError(
                f"the process that runs the engine has not opened this PKG within {_PATIENCE_S:g} s: see whether it "
                "hangs or was stopped, end it, and try again"
            )
    return False


class _Opening:
    """Puts one PKG together, as the owner of its engine or beside it."""

    def __init__(self, config: Config, data: Path, options: Options) -> None:
        self.config, self._data, self.options = config, data, options

    def open(self, *, run: bool, wait: Callable[[float], bool] | None, mend: bool) -> Slipstream:
        """Return the PKG, as the owner of its engine or beside it, and started if it is to `run`."""
        with ExitStack() as stack:
            shared = open_shared(self.config, self._data, self.options, stack)
            is_owner = _holds_lease(shared, wait)
            slipstream = self.owner(shared, stack) if is_owner else self.guest(shared, stack, run=run, mend=mend)
        if run:
            slipstream.start(mend=mend)
        return slipstream

    def adopt(self, wait: Callable[[float], bool] | None) -> None:
        """In an incident, take the graph for the truth, here or by the process that holds the lease."""
        config, data, options = self.config, self._data, self.options
        with ExitStack() as stack:
            shared = open_shared(config, data, options, stack)
            store = shared.store
            if _holds_lease(shared, wait):
                stores = owned_stores(config, data, options, shared, stack)
                if incident_in(shared, stores) is not None:
                    adopt_here(Place(config, data, options, shared), stores)
            elif shared.incident is not None or published_incident(store.journal) is not None:
                Caller(store.requests, store.audits, options.clock).call("adopt")

    def owner(self, shared: Shared, stack: ExitStack) -> Slipstream:
        """Return the PKG with its engine (without, in an incident), and take the requests of other processes."""
        config, data, options = self.config, self._data, self.options
        stores = owned_stores(config, data, options, shared, stack)
        wrong = incident_in(shared, stores)
        slipstream: Slipstream
        if wrong is None:
            slipstream = compose_owner(config, data, options, shared, stores, stack)
        else:
            slipstream = compose_incident_owner(Place(config, data, options, shared), stores, wrong, stack)
        opened = self._placed(slipstream, shared)
        remove_left_uploads(opened.uploads, opened.requests)
        lease = shared.store.lease
        slipstream.attend(Desk(slipstream, shared.store.requests, self.options.clock, lambda: lease.held))
        return slipstream

    def guest(self, shared: Shared, stack: ExitStack, *, run: bool, mend: bool) -> Slipstream:
        """Return the PKG without an engine; with `run` it stands by to run one."""

        def take_over() -> Callable[[], None]:
            with ExitStack() as own:
                owner = self.owner(shared, own)
            if run:
                owner.start(mend=mend)
            return owner.close

        guest = compose_guest(self.config, self._data, self.options, shared, stack, take_over, run=run)
        self._placed(guest, shared)
        return guest

    def _placed(self, slipstream: Slipstream, shared: Shared) -> Opened:
        """Tell an open PKG where it is, and what makes copies of it."""
        root = self._data.parent
        backups, exporter = backups_of(root, self.config), exporter_of(root)
        opened = Opened(root, self._data, self.config, shared.store.requests, Uploads(self._data, parts().lock_at))
        slipstream.opened_from(opened)
        slipstream.copy_by(backups, exporter, rehearsing_of(root, self.config))
        return opened


def prometheus_page(
    slipstream: Slipstream, consistency: Callable[[], ConsistencyMetrics] = lambda: NOT_VERIFIED
) -> Exposition:
    """Return the page of metrics of an open PKG; raises `ConfigError` when the extra `metrics` is not installed."""
    return metrics_page(lambda: metrics_of(slipstream.sync, consistency()))
