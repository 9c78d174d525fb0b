"""Which keys the log says have changed: what an incremental audit reads again."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from slipstream.domain.errors import PositionLostError, TransientError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.log import Rescan, position_of
from slipstream.domain.positions import Position
from slipstream.engine.planner import Planner
from slipstream.ports.feed import ChangeFeed

logger = logging.getLogger(__name__)

_PAGE = 1_000


class LoggedChanges:
    """Asks the log and the planner."""

    def __init__(self, log: ChangeFeed, planner: Planner) -> None:
        self._log, self._planner = log, planner

    def __call__(self, after: Position, through: Position) -> Iterable[RecordKey] | None:
        """Return the keys that commits behind `after` and up to `through` affect; None when the log can not tell."""
        found: dict[RecordKey, None] = {}
        if after > through:
            return None
        while after < through:
            try:
                entries = self._log.read(after, _PAGE)
            except PositionLostError:
                return None
            for entry in entries:
                if isinstance(entry, Rescan):
                    return None
                if position_of(entry) <= through:
                    keys = self._keys_of(entry)
                    if keys is None:
                        return None
                    found.update(dict.fromkeys(keys))
            if not entries:
                break
            after = position_of(entries[-1])
        return list(found)

    def _keys_of(self, event: PKGEvent) -> list[RecordKey] | None:
        try:
            return self._planner.keys_of(event)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001  (the engine has made a dead letter of it; here a full audit follows)
            logger.info("event %s can not be planned (%s): the audit reads everything", event.event_id, error)
            return None
