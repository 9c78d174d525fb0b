"""The end of an open PKG: within seconds, whatever hangs, and in an order that loses nothing."""

from __future__ import annotations

import logging
from typing import Protocol

from slipstream.app.watch import Watch
from slipstream.audit.scrubber import Scrubber
from slipstream.engine.runner import STOP_S, Sync
from slipstream.syncview.writeback import WriteBack

logger = logging.getLogger(__name__)

ASIDE_S = 0.5
"""How long the desk, the alerts and the scheduled audit may take to end: the engine needs none of them."""
_LAST_ROWS_S = 0.5


class Attending(Protocol):
    """What takes the requests of other processes."""

    @property
    def is_dead(self) -> bool:
        """Whether it has ended although nobody stopped it."""
        ...

    def start(self) -> None:
        """Take them from now on."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Take no more."""
        ...


def end(desk: Attending | None, watch: Watch, scrubber: Scrubber, sync: Sync, write_back: WriteBack | None) -> None:
    """
    Stop what asks the engine, then the engine, then the write-back; what hangs in a model is left behind.

    Raises what `Sync.stop` raises.
    """
    scrubber.leave()
    if desk is not None:
        desk.stop(ASIDE_S)
    watch.stop(ASIDE_S)
    scrubber.stop(ASIDE_S)
    sync.stop(STOP_S)
    if write_back is not None:
        write_back.leave(_LAST_ROWS_S)
